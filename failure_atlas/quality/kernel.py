"""Kernel distance between two sets of features (KID, Binkowski et al. 2018): unbiased however few the samples."""

import math

import numpy as np

from failure_atlas.statistics.estimates import Estimate, Z

UNIT = 1_000.0  # distances are told in thousandths
LEAST = 3  # samples on each side
ROWS = 1_000  # of a kernel matrix at once


def measure_kernel_distance(first: np.ndarray, second: np.ndarray) -> Estimate:
    """The squared maximum mean discrepancy under the kernel (x.y / F + 1)^3, times 1,000; n: of the smaller set.

    first, second: features [N, F] and [M, F].  0 where both are drawn from one distribution, on average, so that it may
    fall below 0.  Raises ValueError below 3 samples.

    The interval is the delete-one jackknife's over both sets, whose replicates follow from sums of rows. Where the
    distance is 0 the statistic has no part that is linear in the samples, and the jackknife tells too little just where
    it comes out low; so the variance is never taken for less than the one that it has there (Gretton et al. 2012).
    Where the distance is a few standard errors only, it varies askew: of 95 intervals some 90 cover it.
    """
    (n, width), m = first.shape, len(second)
    if min(n, m) < LEAST:
        raise ValueError(f"a kernel distance needs {LEAST} samples on each side, got {n} and {m}")
    first, second = (each.astype(np.float64) / math.sqrt(width) for each in (first, second))
    across, back, squares = _sum_kernel(first, second)
    parts = [_leave_out(_sum_others(first), across, m), _leave_out(_sum_others(second), back, n)]
    mean = across.sum() / (n * m)
    value = float(sum(whole for whole, _ in parts) - 2 * mean)
    variance = sum((len(each) - 1) * each.var() for _, each in parts)
    centred = squares / (n * m) - np.mean((across / m) ** 2) - np.mean((back / n) ** 2) + mean**2  # of the kernel
    alike = max(0.0, centred) * (2 / (n * (n - 1)) + 2 / (m * (m - 1)) + 4 / (n * m))
    half = Z * math.sqrt(max(variance, alike))
    return Estimate(value * UNIT, (value - half) * UNIT, (value + half) * UNIT, min(n, m))


def _leave_out(within: np.ndarray, across: np.ndarray, others: int) -> tuple[float, np.ndarray]:
    """The mean kernel of two samples of a set, and what the distance is without each, up to a constant: [N].

    within, across: each sample's sum of the kernel with the others of its set, and with all `others` of the other set.
    """
    n, total = len(within), within.sum()
    without = (total - 2 * within) / ((n - 1) * (n - 2)) - 2 * (across.sum() - across) / ((n - 1) * others)
    return float(total / (n * (n - 1))), without


def _sum_others(features: np.ndarray) -> np.ndarray:
    """Each sample's sum of the kernel with all others of its set: [N]."""
    own = (features**2).sum(axis=1) + 1
    return np.asarray(_sum_kernel(features, features)[0] - own * own * own)


def _sum_kernel(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Sums of the kernel matrix over rows, [N], and over columns, [M], and of all its squares, block by block."""
    rows, columns, squares = [], np.zeros(len(second)), 0.0
    for start in range(0, len(first), ROWS):
        base = first[start : start + ROWS] @ second.T + 1
        block = base * base * base
        rows.append(block.sum(axis=1))
        columns += block.sum(axis=0)
        squares += float((block * block).sum())
    return np.concatenate(rows), columns, squares
