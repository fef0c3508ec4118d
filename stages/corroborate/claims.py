"""Each claim on generated and on real images: errors lie farther out, and on the side that a direction names."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.curves.distance import measure_distances, project
from failure_atlas.inversion.corroboration import estimate_area, judge_claims
from failure_atlas.populations.spaces import roc_auc
from failure_atlas.statistics.estimates import NAN, Estimate, read_estimate
from stages.common.artefacts.names import UNNAMED
from stages.common.artefacts.ranking import GLOBAL
from stages.corroborate.inputs import Compared
from stages.corroborate.params import CorroborateParams

DISTANCE, PROJECTION, DIRECTION = "distance", "projection", "direction"
DISTANCE_KEPT = "distance, auditor agrees"  # of those images alone on which it is
NONE = -1


def score_distance(compared: Compared, section: CorroborateParams, deviations: np.ndarray) -> np.ndarray:
    """Distance from the class's centre in the leading dimensions, [N]."""
    return measure_distances(deviations, compared.order[: section.distance_dimensions])


def tabulate_claims(compared: Compared, section: CorroborateParams) -> pd.DataFrame:
    """One row a claim: that its score is higher in errors than in images that are read rightly.

    distance: from the class's centre, in the leading dimensions; once more with those images alone of which the auditor
    sees in the reconstruction what it sees in the image.  projection: on the directions of the leading ones
    together.  direction: how far along each of them, dimension by dimension; these share one level (Holm).
    Of each the area under the ROC curve on generated images and on real ones, with intervals, and the verdict.
    """
    leading, far = compared.order[: section.dimensions], partial(score_distance, compared, section)
    rows = [
        _compare(compared, DISTANCE, NONE, far),
        _compare(compared, DISTANCE_KEPT, NONE, far, compared.real.table["auditor_kept"].to_numpy(bool)),
        _compare(compared, PROJECTION, NONE, lambda deviations: project(deviations, leading, compared.direction)),
    ]
    for dimension in leading.tolist():
        signed = partial(_score_direction, compared, dimension)
        rows.append(_compare(compared, DIRECTION, dimension, signed))
    table = pd.DataFrame(rows)
    for kind in (DISTANCE, DISTANCE_KEPT, PROJECTION, DIRECTION):
        own = np.flatnonzero(table["claim"] == kind)
        made, real = (
            [read_estimate(read_side(table.iloc[row], side)) for row in own] for side in ("generated", "real")
        )
        table.loc[own, "verdict"] = judge_claims(made, real, section.significance)
    return table


def _score_direction(compared: Compared, dimension: int, deviations: np.ndarray) -> np.ndarray:
    return np.asarray(deviations[:, dimension] * compared.direction[dimension])


def read_side(row: pd.Series, side: str) -> dict[str, Any]:
    """The estimate of a claim on `generated` or `real` images, as metrics.json holds it."""
    low, high = float(row[f"{side}_low"]), float(row[f"{side}_high"])
    return {"value": float(row[side]), "low": low, "high": high, "n": int(row[f"{side}_n"])}


def _compare(
    compared: Compared,
    claim: str,
    dimension: int,
    score: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray | slice = slice(None),
) -> dict[str, Any]:
    """One row; rows: which of the real images have a part."""
    generated = Estimate(NAN, n=len(compared.well)).as_dict()
    if 0 < compared.well.sum() < len(compared.well):
        generated = roc_auc(score(compared.deviations), ~compared.well)
    real = estimate_area(score(compared.real_deviations[rows]), compared.case[rows], compared.image[rows]).as_dict()
    words = UNNAMED
    if dimension != NONE:
        words = compared.words.look_up(GLOBAL, dimension, int(compared.direction[dimension]))
    row: dict[str, Any] = {"claim": claim, "dimension": dimension, "name": "" if dimension == NONE else words}
    for side, told in (("generated", generated), ("real", real)):
        row |= {side: told["value"], f"{side}_low": told["low"], f"{side}_high": told["high"], f"{side}_n": told["n"]}
    return row | {"verdict": ""}
