"""Frechet distance between Gaussians fitted to features (Heusel et al. 2017).

The ratio of two means of repeats, with an interval.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE


@dataclass(frozen=True)
class Gaussian:
    """mean: [F].  covariance: [F, F], symmetric, positive semidefinite."""

    mean: np.ndarray
    covariance: np.ndarray


def fit_gaussian(features: np.ndarray) -> Gaussian:
    """Mean and unbiased covariance of features [N, F], in float64.  Raises ValueError if N is less than 2."""
    if len(features) < 2:
        raise ValueError(f"a covariance needs at least 2 samples, got {len(features)}")
    features = features.astype(np.float64)
    mean = features.mean(0)
    centred = features - mean
    return Gaussian(mean, centred.T @ centred / (len(features) - 1))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), never negative.

    The trace of the root is the sum of the singular values of C1^(1/2) C2^(1/2). Unlike a general matrix root this
    stays real and exact for singular covariances, as from fewer samples than features.
    """
    shift = first.mean - second.mean
    overlap = np.linalg.svd(_root(first.covariance) @ _root(second.covariance), compute_uv=False).sum()
    distance = shift @ shift + np.trace(first.covariance) + np.trace(second.covariance) - 2 * overlap
    return max(0.0, float(distance))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def divide_means(numerators: np.ndarray, denominators: np.ndarray) -> dict[str, Any]:
    """mean(numerators) / mean(denominators) of independent, positive repeats: {value, low, high}.

    The interval is symmetric on the logarithm (delta method), with Student's quantile at the degrees of freedom of
    Welch and Satterthwaite. Its bounds are NaN where either side has one repeat only or a mean that is not positive.
    """
    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    value = float(tops.mean() / bottoms.mean()) if bottoms.mean() > 0 else float("nan")
    if min(tops.size, bottoms.size) < 2 or tops.mean() <= 0 or bottoms.mean() <= 0:
        return {"value": value, "low": float("nan"), "high": float("nan")}
    variances = np.array([(side.std(ddof=1) / side.mean()) ** 2 / side.size for side in (tops, bottoms)])
    if variances.sum() == 0:
        return {"value": value, "low": value, "high": value}
    freedom = variances.sum() ** 2 / (variances**2 / np.array([tops.size - 1, bottoms.size - 1])).sum()
    factor = float(np.exp(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(variances.sum())))
    return {"value": value, "low": value / factor, "high": value * factor}
