"""Curves of accuracy over bins for one classifier: along the top dimensions of each scope, and along random ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from failure_atlas.statistics.bootstrap import Resampling
from stages.common.artefacts.ranking import ALL, Order
from stages.compute_curves.binned import summarize_bins
from stages.compute_curves.results import Key, Result, pool_draws

# Values [n, D] of some samples, dimensions [K], direction [D] of an order -> where each sample lies: [n].
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class BinnedStudy:
    """What all curves over bins of one classifier share.

    styles: [N, D].  true_class: [N] int64.  well, judged: bool [N], whether classifier and judge are right.  std: [D].
    orders: `all` and each class's name in the order of the labels -> its ranking.  random_sets: K -> sets of K
    dimensions.  resampling: of the N samples and of as many draws as there are random sets of each size.
    """

    classifier: str
    styles: np.ndarray
    true_class: np.ndarray
    well: np.ndarray
    judged: np.ndarray
    std: np.ndarray
    orders: Mapping[str, Order]
    random_sets: Mapping[int, Sequence[np.ndarray]]
    resampling: Resampling
    top_k: Sequence[int | str]
    bins: int
    tail_quantile: float

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.orders) - 1  # one of them is `all`

    def trace(self, key: Key, values: np.ndarray, measure: Measure) -> Iterator[Result]:
        """Yield the curve of each scope and K along the top dimensions, and along random ones, at the key otherwise.

        values: [N, D], of which `measure` makes a sample's place on the axis.  Random dimensions keep the direction of
        the order, so that only their choice differs.
        """
        for scope, order in self.orders.items():
            yield from self._trace_scope(replace(key, scope=scope), order, values, measure)

    def _trace_scope(self, key: Key, order: Order, values: np.ndarray, measure: Measure) -> Iterator[Result]:
        rows, drawn = self._scopes[key.scope]
        inside, right, readable = values[rows], self.well[rows], self.judged[rows]

        def bin_along(key: Key, dimensions: np.ndarray, counts: np.ndarray | None = None) -> Result:
            place = measure(inside, dimensions, order.direction)
            return summarize_bins(key, place, right, readable, self.bins, self.tail_quantile, counts)

        for k in self.top_k:
            top = replace(key, dimensions="top", k=str(k))
            yield bin_along(top, order.dimensions if isinstance(k, str) else order.dimensions[:k], drawn.counts)
            if not isinstance(k, str):
                random = replace(top, dimensions="random")
                yield pool_draws(random, [bin_along(random, each) for each in self.random_sets[k]], drawn)

    @cached_property
    def _scopes(self) -> dict[str, tuple[np.ndarray, Resampling]]:
        """The samples of each scope, bool [N], and their replicates."""
        names = [scope for scope in self.orders if scope != ALL]
        rows = {ALL: np.ones(len(self.well), bool)} | {
            name: self.true_class == label for label, name in enumerate(names)
        }
        return {scope: (own, self.resampling.select(own)) for scope, own in rows.items()}
