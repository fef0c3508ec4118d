"""The unsupervised baseline: principal directions of W and of S (GANSpace; Härkönen et al. 2020)."""

import numpy as np
import torch
from sklearn.decomposition import PCA

from failure_atlas.stylegan2.generator import Generator


def find_principal(features: np.ndarray, count: int) -> np.ndarray:
    """Principal directions of features [N, F] by falling variance, unit rows: [min(count, F, N), F] float64."""
    count = min(count, *features.shape)
    # From the covariance, whose eigenvectors are found without a random start.
    pca = PCA(count, svd_solver="covariance_eigh").fit(np.asarray(features, np.float64))
    return np.asarray(pca.components_)


def map_directions(generator: Generator, directions: np.ndarray) -> np.ndarray:
    """What directions in W [K, w_dim] change in S, through the affine layers: [K, D] float64 in raw style units."""
    device = next(generator.parameters()).device
    with torch.no_grad():
        w = torch.from_numpy(directions.astype(np.float32)).to(device)
        change = generator.map_styles(w) - generator.map_styles(torch.zeros_like(w[:1]))
    return np.asarray(change.cpu().numpy().astype(np.float64))
