"""The part of W that holds most samples of a class: an ellipsoid about its mean, and W seen from it.

Whitened coordinates a of a class: w = centre + axes a, so that its samples have mean 0 and covariance 1 there, and the
Euclidean length of a move is its Mahalanobis distance, in std of the class. Two samples of a class lie sqrt(2 W) apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf

from failure_atlas.world.show import World

ROUNDING = 1e-5  # of a length in W, whose latents are float32
MapStyles = Callable[[torch.Tensor], torch.Tensor]  # w [N, W] -> styles [N, D]


@dataclass(frozen=True)
class Domain:
    """The ellipsoids of C classes.

    centre: [C, W].  axes: [C, W, W], a -> w.  inverse: [C, W, W], w -> a.  radius: [C], how far from the centre, in
    std, the chosen share of the class's samples lies.
    """

    centre: np.ndarray
    axes: np.ndarray
    inverse: np.ndarray
    radius: np.ndarray

    def place(self, whitened: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Latents w [N, W] float32 at whitened coordinates [N, W]; true_class: [N]."""
        return np.asarray(self.centre[true_class] + _turn(self.axes, whitened, true_class), np.float32)

    def whiten(self, w: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """The inverse of `place`: [N, W] float64."""
        return _turn(self.inverse, w.astype(np.float64) - self.centre[true_class], true_class)

    def pull_back(self, slope: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Gradients [N, W] with respect to w, as those with respect to whitened coordinates."""
        return _turn(self.axes.swapaxes(1, 2), slope, true_class)

    def hold(self, whitened: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Whitened coordinates [N, W], those outside of the ellipsoid drawn straight back to its surface."""
        length = np.linalg.norm(whitened, axis=1, keepdims=True)
        return np.asarray(whitened * np.minimum(1, self.radius[true_class][:, None] / np.maximum(length, 1e-12)))

    def contains(self, w: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """Which latents [N, W] lie inside, [N] bool."""
        length = np.linalg.norm(self.whiten(w, true_class), axis=1)
        return np.asarray(length <= self.radius[true_class] * (1 + ROUNDING))


def _turn(matrices: np.ndarray, vectors: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Each vector [N, W] by its class's matrix; one product a class, not a matrix for each sample."""
    turned = np.zeros(vectors.shape)
    for label in np.unique(true_class):
        own = true_class == label
        turned[own] = vectors[own] @ matrices[label].T
    return turned


def fit_domain(w: np.ndarray, true_class: np.ndarray, share: float) -> Domain:
    """w: [N, W] of a population.  true_class: [N] int64, each class with two samples or more.  share: inside, of each.

    Covariances are shrunk (Ledoit, Wolf 2004): with few samples of a class they would have directions without width.
    """
    centres, axes, inverses, radii = [], [], [], []
    for label in range(int(true_class.max()) + 1):
        own = w[true_class == label].astype(np.float64)
        centre = own.mean(axis=0)
        variance, directions = np.linalg.eigh(ledoit_wolf(own)[0])
        width = np.sqrt(np.maximum(variance, np.finfo(np.float32).tiny))
        inverse = (directions / width).T
        centres.append(centre)
        axes.append(directions * width)
        inverses.append(inverse)
        radii.append(np.quantile(np.linalg.norm((own - centre) @ inverse.T, axis=1), share))
    return Domain(np.array(centres), np.array(axes), np.array(inverses), np.array(radii))


def enter_latents(world: World, map_styles: MapStyles, width: int | None = None) -> World:
    """The same world with latents w [N, W] in the place of styles, for all that shows, asks and differentiates.

    width: W, where latents [N, W + D] may carry an offset behind w that is added to the styles, as of real images.
    """

    def synthesize(latents: torch.Tensor, *noise: np.ndarray) -> torch.Tensor:
        styles = map_styles(latents[:, :width])
        if width is not None and latents.shape[1] > width:
            styles = styles + latents[:, width:]
        return world.synthesize(styles, *noise)

    return replace(world, synthesize=synthesize)
