"""Do two halves of the population give the same ranking?"""

import numpy as np
from scipy import stats

TOP = 10


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
