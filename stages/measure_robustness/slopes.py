"""Slopes at the starts of a classifier that gives no gradients, and which of them are worth taking anew."""

from typing import Any

import numpy as np

from failure_atlas.core.progress import Progress
from failure_atlas.ranking.scores import FINITE_DIFFERENCE
from stages.measure_robustness.std_space import Differences, StdSpace


def difference_starts(space: StdSpace, walked: np.ndarray, count: int, step_std: float) -> Differences:
    """Slopes at the starts that are walked, and the `count` steepest dimensions of each.

    walked: [N] bool; other starts get slopes of 0.  Two images per start and dimension that varies.
    """
    dimensions = len(space.std)
    at_start = np.zeros((len(walked), dimensions))
    rows = np.flatnonzero(walked)
    every = np.arange(dimensions)[None]
    with Progress("slopes at the starts", len(rows), "starts") as progress:
        for row in rows:
            at_start[row] = space.difference(np.array([row]), np.zeros((1, dimensions)), every, step_std)
            progress.advance(1)
    return Differences(at_start, np.argsort(-np.abs(at_start), axis=1, kind="stable")[:, :count], step_std)


def describe_slopes(differences: Differences | None) -> dict[str, Any]:
    """How slopes were had where there are no gradients; metrics without these keys are of gradients."""
    if differences is None:
        return {}
    return {
        "slope": FINITE_DIFFERENCE,
        "slope_dimensions": differences.dimensions.shape[1],
        "slope_step_std": differences.step_std,
    }


def tell_slopes(differences: Differences | None) -> str:
    """What figures say of the slopes that joint walks and sets follow; empty for gradients."""
    if differences is None:
        return ""
    return f"slopes by finite differences, anew along the {differences.dimensions.shape[1]} steepest dimensions only"
