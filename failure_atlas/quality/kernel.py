"""Kernel distance between two sets of features (KID, Binkowski et al. 2018): unbiased however few the samples."""

import math

import numpy as np

from failure_atlas.statistics.estimates import Estimate, Z

UNIT = 1_000.0  # distances are told in thousandths
LEAST = 3  # samples on each side
ROWS = 1_000  # of a kernel matrix at once


def measure_kernel_distance(
    first: np.ndarray, second: np.ndarray, labels: tuple[np.ndarray, np.ndarray] | None = None
) -> Estimate:
    """The squared maximum mean discrepancy under the kernel (x.y / F + 1)^3, times 1,000; n: of the smaller set.

    first, second: features [N, F] and [M, F].  0 where both are drawn from one distribution, on average, so that it may
    fall below 0.  Raises ValueError below 3 samples.
    labels: their classes, [N] and [M] int64, where the sets were drawn with equal shares of the classes. Pairs of one
    class are then rarer within a set than between two, which alone would make the distance too small: they get weights.

    The interval is the delete-one jackknife's over both sets and within classes, whose replicates follow from sums of
    rows. Where the distance is 0 the statistic has no part that is linear in the samples, and the jackknife tells too
    little just where it comes out low; so the variance is never taken for less than what it is there (Gretton et al.
    2012). Where the distance is a few standard errors only, it varies askew: of 95 intervals some 90 cover it.
    """
    (n, width), m = first.shape, len(second)
    if min(n, m) < LEAST:
        raise ValueError(f"a kernel distance needs {LEAST} samples on each side, got {n} and {m}")
    shares = [_Classes(each) for each in labels or (np.zeros(n, int), np.zeros(m, int))]
    first, second = (each.astype(np.float64) / math.sqrt(width) for each in (first, second))
    across, squares = _sum_kernel(first, second, shares[1].members)
    back, _ = _sum_kernel(second, first, shares[0].members)
    total = across.sum()
    parts = [
        _leave_out(_sum_others(each, of), towards.sum(axis=1) / other, of)
        for each, of, towards, other in ((first, shares[0], across, m), (second, shares[1], back, n))
    ]
    value = float(sum(whole for whole, _ in parts) - 2 * total / (n * m))
    block = shares[0].members.T @ across  # sums over pairs of classes
    sizes = np.outer(shares[0].sizes, shares[1].sizes)
    centred = (
        squares - (across**2 / shares[1].sizes).sum() - (back**2 / shares[0].sizes).sum() + (block**2 / sizes).sum()
    )
    alike = max(0.0, centred / (n * m)) * (2 / (n * (n - 1)) + 2 / (m * (m - 1)) + 4 / (n * m))
    half = Z * math.sqrt(max(sum(variance for _, variance in parts), alike))
    return Estimate(value * UNIT, (value - half) * UNIT, (value + half) * UNIT, min(n, m))


class _Classes:
    """labels: [N].  members: float64 [N, classes], 1 where a sample is of a class.  sizes: [classes], 1 at least."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels
        self.members = np.eye(int(labels.max()) + 1)[labels]
        self.sizes = np.maximum(self.members.sum(axis=0), 1)

    def own(self, sums: np.ndarray) -> np.ndarray:
        """Of sums over each class, [N, classes], that over the sample's own, [N]."""
        return np.asarray(sums[np.arange(len(sums)), self.labels])


def _leave_out(within: np.ndarray, across: np.ndarray, classes: _Classes) -> tuple[float, float]:
    """The mean kernel of two samples of a set, and the jackknife's variance from leaving out one of them.

    within: each sample's sum of the kernel with the others of its set, by class, [N, classes].  across: its mean with
    the other set, [N].  Pairs of one class weigh so much that its share of the pairs is the square of its share.
    """
    n, size, own = len(within), classes.sizes[classes.labels], classes.own(within)
    fewer, fewest = np.maximum(size - 1, 1), np.maximum(size - 2, 1)  # a class of one sample tells nothing of itself
    others = within.sum(axis=1) - own
    whole = (others + own * size / fewer).sum() / n**2
    without = 2 * size / fewer * (across / n - (others + own * size / fewest) / n**2)  # up to a constant of the class
    means = (classes.members.T @ without) / classes.sizes
    squared = (without - means[classes.labels]) ** 2
    return float(whole), float((fewer / size * squared).sum())


def _sum_others(features: np.ndarray, classes: _Classes) -> np.ndarray:
    """Each sample's sums of the kernel with all others of its set, by class: [N, classes]."""
    own = (features**2).sum(axis=1) + 1
    sums = _sum_kernel(features, features, classes.members)[0]
    return np.asarray(sums - classes.members * (own * own * own)[:, None])


def _sum_kernel(first: np.ndarray, second: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, float]:
    """Each sample's sums of the kernel over the other set's classes, [N, classes], and all squares; block by block."""
    rows, squares = [], 0.0
    for start in range(0, len(first), ROWS):
        base = first[start : start + ROWS] @ second.T + 1
        block = base * base * base
        rows.append(block @ members)
        squares += float((block * block).sum())
    return np.concatenate(rows), squares
