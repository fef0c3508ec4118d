"""All curves of accuracy against distance for one classifier."""

from collections.abc import Iterator
from itertools import product

from failure_atlas.curves.distance import Centre, find_centres, measure_distances, square_deviations
from stages.common.artefacts.ranking import ALL
from stages.compute_curves.binned_study import BinnedStudy
from stages.compute_curves.results import Key, Result

CENTRES: tuple[Centre, ...] = ("own_class", "all")
SCALINGS = ("raw", "standardised")


def study_distances(study: BinnedStudy) -> Iterator[Result]:
    """Yield the curve of each scaling, centre, scope and K, along top dimensions and along random ones."""
    for scaling, centre in product(SCALINGS, CENTRES):
        centres = find_centres(study.styles, study.true_class, study.well, study.classes, centre)
        scale = study.std if scaling == "standardised" else None
        squares = square_deviations(study.styles, study.true_class, centres, scale)
        key = Key(study.classifier, "distance", ALL, "top", "all", scaling, centre)
        yield from study.trace(key, squares, lambda inside, dimensions, _: measure_distances(inside, dimensions))
