"""All curves of accuracy against the signed projection for one classifier."""

from collections.abc import Iterator

from failure_atlas.curves.distance import find_centres, project, standardise
from stages.common.artefacts.ranking import ALL
from stages.compute_curves.binned_study import BinnedStudy
from stages.compute_curves.results import Key, Result


def study_projections(study: BinnedStudy) -> Iterator[Result]:
    """Yield the curve of each scope and K, along top dimensions and along random ones.

    Standardised, from the well-classified centre of the own class.  The tail that is cut is the far degraded end.
    """
    centres = find_centres(study.styles, study.true_class, study.well, study.classes, "own_class")
    deviations = standardise(study.styles, study.true_class, centres, study.std)
    key = Key(study.classifier, "projection", ALL, "top", "all", "standardised", "own_class")
    yield from study.trace(key, deviations, project)
