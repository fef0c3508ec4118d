"""Median of distances of which some are only known to lie beyond the farthest one tried."""

import numpy as np
from scipy import stats

from failure_atlas.statistics.intervals import CONFIDENCE


def find_median(distance: np.ndarray, reached: np.ndarray) -> tuple[float, float, float]:
    """Median with its 95 % order-statistic interval; inf where it lies beyond what was tried.

    distance: [N].  reached: [N] bool; an unreached distance counts as larger than every reached one.
    Returns (median, low, high), NaN for N = 0; low is -inf where N is too small for a bound (under 6).
    """
    n = len(distance)
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    ordered = np.sort(np.where(reached, distance, np.inf))
    # The k-th smallest and k-th largest enclose the median unless fewer than k values fall on one side of it.
    k = int(stats.binom.ppf(0.5 - CONFIDENCE / 2, n, 0.5))
    low, high = (ordered[k - 1], ordered[n - k]) if k > 0 else (-np.inf, np.inf)
    return float(np.median(ordered)), float(low), float(high)
