"""All curves of accuracy against distance for one classifier, along top and random dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from stages.compute_curves.binned import summarize_bins
from stages.compute_curves.bootstrap import Resampling
from stages.compute_curves.distance import Centre, find_centres, measure_distances, square_deviations
from stages.compute_curves.results import Key, Result, pool_draws
from stages.shift_samples.ranking import ALL, Order

CENTRES: tuple[Centre, ...] = ("own_class", "all")
SCALINGS = ("raw", "standardised")


def study_distances(
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
    """Yield the curve of each scope, K, scaling and centre along the top dimensions, and along random ones.

    styles: [N, D].  true_class: [N] int64.  well, judged: bool [N], whether classifier and judge are right.  std: [D].
    orders: `all` and each class's name in the order of the labels -> its ranking.  random_sets: K -> sets of K
    dimensions.  resampling: of the N samples and of as many draws as there are random sets of each size.
    """
    class_names = [scope for scope in orders if scope != ALL]
    rows = {scope: true_class == class_names.index(scope) for scope in class_names} | {ALL: np.ones(len(well), bool)}
    resamplings = {scope: resampling.select(own) for scope, own in rows.items()}
    for scaling, centre in product(SCALINGS, CENTRES):
        centres = find_centres(styles, true_class, well, len(class_names), centre)
        squares = square_deviations(styles, true_class, centres, std if scaling == "standardised" else None)
        for scope, order in orders.items():
            inside, right, readable = squares[rows[scope]], well[rows[scope]], judged[rows[scope]]
            drawn = resamplings[scope]

            def bin_along(
                key: Key,
                dimensions: np.ndarray,
                inside: np.ndarray = inside,
                right: np.ndarray = right,
                readable: np.ndarray = readable,
                counts: np.ndarray | None = None,
            ) -> Result:
                distance = measure_distances(inside, dimensions)
                return summarize_bins(key, distance, right, readable, bins, tail_quantile, counts)

            for k in top_k:
                key = Key(classifier, "distance", scope, "top", str(k), scaling, centre)
                top = order.dimensions if isinstance(k, str) else order.dimensions[:k]
                yield bin_along(key, top, counts=drawn.counts)
                if not isinstance(k, str):
                    key = replace(key, dimensions="random")
                    draws = [bin_along(key, dimensions) for dimensions in random_sets[k]]
                    yield pool_draws(key, draws, drawn)
