"""Do two halves of the population give the same ranking; do two readers err on the same images?"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE, Estimate, percentile

TOP = 10
PARTS = 20  # of the population, for the jackknife
RESAMPLES = 1000  # behind the interval of phi


def draw_halves(true_class: np.ndarray, repeats: int, random: np.random.Generator) -> np.ndarray:
    """Random halvings, balanced by class: [repeats, N] bool, true for the first half.

    true_class: [N] int64. In a class of odd size the second half holds one sample more.
    """
    halves = np.zeros((repeats, len(true_class)), bool)
    for index in np.unique(true_class):
        members = np.flatnonzero(true_class == index)
        for half in halves:
            half[random.permutation(members)[: len(members) // 2]] = True
    return halves


def measure_phi(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Correlation of two yes-or-no answers about the same N cases, bool [N] each, with its 95 % percentile bootstrap
    interval: `{value, low, high, n}`. 1: always alike, 0: independent; NaN where one of them never varies.

    Resamples of N cases are drawn as counts of the four pairs of answers, which is the same and takes no time.
    """
    pairs = np.bincount(2 * first.astype(np.int64) + second, minlength=4)  # neither, second, first, both
    n = len(first)
    drawn = _correlate_pairs(random.multinomial(n, pairs / n, RESAMPLES)) if n else np.empty(0)
    drawn = drawn[~np.isnan(drawn)]
    low, high = percentile(drawn) if drawn.size else (float("nan"), float("nan"))
    return Estimate(float(_correlate_pairs(pairs[None])[0]), low, high, n).as_dict()


def _correlate_pairs(counts: np.ndarray) -> np.ndarray:
    """phi of counts [R, 4] of neither, second alone, first alone, both: [R]."""
    neither, second, first, both = counts.T.astype(np.float64)
    spread = (first + both) * (neither + second) * (second + both) * (neither + first)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((both * neither - first * second) / np.sqrt(spread))


class HalfMeans:
    """Class means of many random halvings at once, and of their complements, in one pass over batches.

    members: [R, N] bool, the first half of each of R halvings of N samples.  true_class: [N] int64.
    Memory grows with R, classes and dimensions, not with N (but for `members`).
    """

    def __init__(self, members: np.ndarray, true_class: np.ndarray, classes: int, dimensions: int) -> None:
        self.members, self.classes, self.dimensions = members, classes, dimensions
        self._part = np.empty(len(true_class), np.int64)
        self._part[np.argsort(true_class, kind="stable")] = np.arange(len(true_class)) % PARTS
        cell = true_class * PARTS + self._part
        counts = [
            [np.bincount(cell, half, classes * PARTS).reshape(classes, PARTS) for half in (own, ~own)]
            for own in members
        ]
        count = np.array(counts).reshape(-1, 2, classes, PARTS).swapaxes(0, 1)  # [2, R, C, parts]
        self._count = count.sum(axis=-1)
        rest = (self._count[..., None] - count) * classes
        # Weight of a sample in the mean over classes without one part.
        self._share = np.divide(1, rest, out=np.zeros_like(rest), where=rest > 0)
        self._sums = np.zeros((2, len(members), classes, dimensions))
        # What each part adds to the mean over classes of all other parts: [2, R, parts, D].
        self._own = np.zeros((2, len(members), PARTS, dimensions))

    def add(self, vectors: np.ndarray, true_class: np.ndarray, first: int) -> None:
        """Take in the samples first, first + 1, ...; vectors: [n, D], true_class: [n] int64."""
        rows = slice(first, first + len(vectors))
        chosen, part = self.members[:, rows], self._part[rows]
        for index in np.unique(true_class):
            own = true_class == index
            values, parts = vectors[own].astype(np.float64), part[own]
            for half, members in enumerate((chosen[:, own], ~chosen[:, own])):
                weights = members.astype(np.float64)
                self._sums[half, :, index] += weights @ values
                for place in np.unique(parts):
                    mine = parts == place
                    scale = self._share[half, :, index, place, None]
                    self._own[half, :, place] += scale * (weights[:, mine] @ values[mine])

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Class means of the first and of the second halves, [R, C, D] each."""
        first, second = self._sums / self._count[..., None]
        return first, second

    def spread(self, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, float]:
        """How far single halvings differ in the agreement of their two halves: {smallest, largest, halvings}.

        No interval: all halvings share all samples.  measure: as in `estimate`.
        """
        each = measure(*(half.mean(axis=1) for half in self.means()))
        return {"smallest": float(each.min()), "largest": float(each.max()), "halvings": len(each)}

    def estimate(self, measure: Callable[[np.ndarray, np.ndarray], np.ndarray], low: float) -> dict[str, Any]:
        """Agreement of the two halves' means over classes, averaged over the halvings: {value, low, high, n}.

        measure: two sets of scores [..., D] -> their agreement [...], at most 1 and at least `low`.
        The interval is the delete-a-part jackknife's: the same halvings without each of 20 equal parts of the samples
        in turn, Student's with 19 degrees of freedom. Repeated halvings of one population do not tell it: they share
        all samples, and their spread says how much single halvings differ. A bootstrap would put one sample into both
        halves. A part holds many samples, as a measure needs that jumps where two dimensions change places (Shao and Wu
        1989). The jackknife's variance is too large rather than too small (Efron and Stein 1981): in trials the
        interval was up to twice as wide as need be and covered in 97 to 99 % of cases.
        """
        first, second = (half.mean(axis=1) for half in self.means())
        value = float(measure(first, second).mean())
        one, other = np.einsum("hrcp,hrcd->hrpd", self._share, self._sums) - self._own
        parts = measure(one, other).mean(axis=0)
        error = np.sqrt((PARTS - 1) / PARTS * np.square(parts - parts.mean()).sum())
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, PARTS - 1) * error)
        return {"value": value, "low": max(value - half, low), "high": min(value + half, 1.0), "n": len(self._part)}


def order_dimensions(scores: np.ndarray) -> np.ndarray:
    """Dimensions by falling |score|, ties by index; scores: [..., D]. Returns [..., D] int64."""
    return np.argsort(-np.abs(scores), axis=-1, kind="stable")


def share_top(first: np.ndarray, second: np.ndarray, top: int = TOP) -> np.ndarray:
    """Share of the top dimensions of one ranking that are also top in the other; scores [..., D] to [...]."""
    top = min(top, first.shape[-1])
    return np.asarray((_mark_top(first, top) & _mark_top(second, top)).sum(axis=-1) / top)


def share_direction(first: np.ndarray, second: np.ndarray, top: int = TOP) -> np.ndarray:
    """Share of the top dimensions of the first scores whose sign the second scores confirm; [..., D] to [...]."""
    top = min(top, first.shape[-1])
    leading = order_dimensions(first)[..., :top]
    signs = [np.sign(np.take_along_axis(scores, leading, axis=-1)) for scores in (first, second)]
    return np.asarray((signs[0] == signs[1]).mean(axis=-1))


def correlate_ranks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of |score|, by which dimensions are ranked; [..., D] to [...].

    Ties share their mean rank; NaN where one side has the same |score| everywhere.
    """
    ranks = [stats.rankdata(np.abs(scores), axis=-1) for scores in (first, second)]
    a, b = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1)))


def _mark_top(scores: np.ndarray, top: int) -> np.ndarray:
    marks = np.zeros(scores.shape, bool)
    np.put_along_axis(marks, order_dimensions(scores)[..., :top], True, axis=-1)
    return marks
