"""A curve of accuracy: from equal-count bins of a distance, or from the same samples at every step of a shift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.common.intervals import wilson


@dataclass(frozen=True)
class Curve:
    """Arrays [B]: place on the x axis, accuracy, its interval or range, and the number of samples of each point."""

    x: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def bin_accuracy(distance: np.ndarray, well: np.ndarray, bins: int, tail_quantile: float) -> Curve:
    """Accuracy in bins that hold the same number of samples, within one, with Wilson intervals.

    distance: [N]; samples without one (NaN) are left out.  well: bool [N].  bins: at most; one sample each at least.
    tail_quantile: the share of samples that is kept, the nearest first; the far tail is cut.  x: a bin's mean distance.
    """
    return count_bins(distance, well, split_bins(distance, bins, tail_quantile))


def split_bins(distance: np.ndarray, bins: int, tail_quantile: float) -> list[np.ndarray]:
    """The samples of each bin of `bin_accuracy`, the nearest bin first: indices into [N]; none without a distance."""
    known = np.flatnonzero(~np.isnan(distance))
    if len(known) == 0:
        return []
    kept = max(1, int(tail_quantile * len(known) + 1e-9))
    order = known[np.argsort(distance[known], kind="stable")[:kept]]
    return np.array_split(order, min(bins, len(order)))


def count_bins(distance: np.ndarray, correct: np.ndarray, parts: Sequence[np.ndarray]) -> Curve:
    """The share of `correct`, bool [N], among the samples of each bin, with Wilson intervals; parts: `split_bins`."""
    n = np.array([len(part) for part in parts], np.int64)
    successes = np.array([np.count_nonzero(correct[part]) for part in parts], np.int64)
    low, high = wilson(successes, n)
    return Curve(np.array([distance[part].mean() for part in parts], float), successes / n, low, high, n)


def count_accuracy(x: np.ndarray, correct: np.ndarray) -> Curve:
    """Accuracy of the same samples at every step, with Wilson intervals; x: [T], correct: bool [T, N]."""
    n = np.full(len(x), correct.shape[1])
    successes = np.count_nonzero(correct, axis=1)
    low, high = wilson(successes, n)
    with np.errstate(invalid="ignore"):
        return Curve(np.asarray(x, float), successes / n, low, high, n)


def average_curves(curves: Sequence[Curve]) -> Curve:
    """Mean of several curves of equally many points, point by point; low and high are the range over the curves.

    n is the mean number of samples of a point.
    """
    accuracy = np.stack([curve.accuracy for curve in curves])
    return Curve(
        np.mean([curve.x for curve in curves], axis=0),
        accuracy.mean(axis=0),
        accuracy.min(axis=0),
        accuracy.max(axis=0),
        np.asarray(np.rint(np.mean([curve.n for curve in curves], axis=0)), np.int64),
    )
