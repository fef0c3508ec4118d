"""Frechet distance between Gaussians fitted to features (Heusel et al. 2017)."""

from dataclasses import dataclass

import numpy as np


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
