"""How differently a style dimension is distributed in well and in misclassified samples."""

import numpy as np


def measure_ks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two-sample Kolmogorov-Smirnov statistic of each column: the largest gap between the two distributions.

    first: [N, D], second: [M, D]. Returns [D] in [0, 1]; NaN if a sample is empty.
    """
    if not len(first) or not len(second):
        return np.full(first.shape[1], np.nan)
    result = np.empty(first.shape[1])
    for column in range(first.shape[1]):
        a, b = np.sort(first[:, column]), np.sort(second[:, column])
        values = np.concatenate([a, b])
        gap = np.searchsorted(a, values, "right") / len(a) - np.searchsorted(b, values, "right") / len(b)
        result[column] = np.abs(gap).max()
    return result


def bound_null_ks(n: int, m: int) -> float:
    """The statistic that two samples of one distribution stay below in 95 % of cases (Smirnov 1948, large samples)."""
    return float(np.sqrt(np.log(2 / 0.05) / 2 * (n + m) / (n * m))) if n and m else float("nan")


def subtract_class_mean(styles: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Styles relative to the mean of the sample's own class, so that the class mix does not confound; [N, D]."""
    centred = styles.astype(np.float64)
    for index in np.unique(true_class):
        own = true_class == index
        centred[own] -= centred[own].mean(axis=0)
    return centred
