"""All curves of accuracy against the signed projection for one classifier, along top and random dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stages.compute_curves.binned import summarize_bins
from stages.compute_curves.bootstrap import Resampling
from stages.compute_curves.distance import find_centres
from stages.compute_curves.projection import project, standardise
from stages.compute_curves.results import Key, Result, pool_draws
from stages.shift_samples.ranking import ALL, Order


def study_projections(
    classifier: str,
    styles: np.ndarray,
    true_class: np.ndarray,
    well: np.ndarray,
    judged: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Mapping[int, Sequence[np.ndarray]],
    resampling: Resampling,
    *,
    top_k: Sequence[int | str],
    bins: int,
    tail_quantile: float,
) -> Iterator[Result]:
    """Yield the curve of each scope and K along the top dimensions, and along random ones; arguments: as for distances.

    Standardised, from the well-classified centre of the own class.  Random dimensions keep their gradient's sign, so
    that only their choice differs.  The tail that is cut is the far degraded end.
    """
    class_names = [scope for scope in orders if scope != ALL]
    deviations = standardise(
        styles, true_class, find_centres(styles, true_class, well, len(class_names), "own_class"), std
    )
    for scope, order in orders.items():
        rows = np.ones(len(well), bool) if scope == ALL else true_class == class_names.index(scope)
        inside, right, readable = deviations[rows], well[rows], judged[rows]
        drawn = resampling.select(rows)

        def bin_along(
            key: Key,
            dimensions: np.ndarray,
            inside: np.ndarray = inside,
            right: np.ndarray = right,
            readable: np.ndarray = readable,
            direction: np.ndarray = order.direction,
            counts: np.ndarray | None = None,
        ) -> Result:
            place = project(inside, dimensions, direction)
            return summarize_bins(key, place, right, readable, bins, tail_quantile, counts)

        for k in top_k:
            key = Key(classifier, "projection", scope, "top", str(k), "standardised", "own_class")
            top = order.dimensions if isinstance(k, str) else order.dimensions[:k]
            yield bin_along(key, top, counts=drawn.counts)
            if not isinstance(k, str):
                key = replace(key, dimensions="random")
                draws = [bin_along(key, dimensions) for dimensions in random_sets[k]]
                yield pool_draws(key, draws, drawn)
