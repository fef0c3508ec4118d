"""How differently a style dimension is distributed in well and in misclassified samples."""

import numpy as np
from scipy import stats


def measure_ks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two-sample Kolmogorov-Smirnov statistic of each column: the largest gap between the two distributions.

    first: [N, D], second: [M, D]. Returns [D] in [0, 1]; NaN if a sample is empty.
    """
    if not len(first) or not len(second):
        return np.full(first.shape[1], np.nan)
    return np.asarray(stats.ks_2samp(first, second, method="asymp").statistic)


def bound_null_ks(n: int, m: int) -> float:
    """The statistic that two samples of one distribution stay below in 95 % of cases (Smirnov 1948, large samples)."""
    return float(np.sqrt(np.log(2 / 0.05) / 2 * (n + m) / (n * m))) if n and m else float("nan")
