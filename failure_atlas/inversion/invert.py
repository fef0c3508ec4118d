"""From a real image to latents that make it: first w, near the samples of its class, then a bounded change of s.

An image x is taken for m(s) + noise of strength v(s), both the generator's own. So the loss is that of a Gaussian,
(x - m)^2 / v + log v, summed over pixels, and Mahalanobis distances in W and S are its prior: a maximum a posteriori
estimate. With squared error alone the noise would be fitted away, for it is never the same noise, and a reconstruction
would be easier to read than its image. m and v are measured anew at every step, from two draws of the noise; no seed is
chosen for its outcome. No classifier or judge has any part in this.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree
from torch.optim.lr_scheduler import CosineAnnealingLR

from failure_atlas.images.image_set import to_unit
from failure_atlas.search.domain import Domain, MapStyles
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.world.show import World

EVIDENCE = 0.3  # what a pixel counts: the errors of neighbours go together, so that it is no witness of its own
LEAST_VARIANCE = 2e-3  # of a pixel, white being 1: strokes that the generator draws a little otherwise are no noise
RATE, STYLE_RATE = 0.15, 0.1  # of Adam, in std
MEMORY = (0.9, 0.99)  # of its two averages
FARTHEST_STYLE_STD = 0.5  # that one style may leave the one that belongs to w
DRAWS = 2  # of the noise, at each step
SMOOTHING_PX = 1.0
GRAIN_WEIGHT = 0.7  # of the difference in fine contrast, beside that between smoothed images, when a start is chosen


@dataclass(frozen=True)
class Inverted:
    """N images in the generator's world.

    w: [N, W] float32.  offset: [N, D] float32, what is added to the styles of w.  styles: [N, D] float32, with it.
    noise: int64 [N], drawn.  length_std: [N], of w, from the centre of the class (see `Domain`).
    """

    w: np.ndarray
    offset: np.ndarray
    styles: np.ndarray
    noise: np.ndarray
    length_std: np.ndarray


def smooth_pixels(unit: np.ndarray) -> np.ndarray:
    """Images [N, C, H, W] float64, each smoothed so that little of its noise is left."""
    return np.asarray(ndimage.gaussian_filter(unit, (0, 0, SMOOTHING_PX, SMOOTHING_PX)))


def describe(images: np.ndarray) -> np.ndarray:
    """Smoothed pixels, and how much fine contrast there is: float64 [N, C H W + 1]; images: uint8 [N, C, H, W]."""
    unit = images / 255
    smooth = smooth_pixels(unit)
    grain = np.abs(unit - smooth).mean(axis=(1, 2, 3))
    pixels = smooth.reshape(len(images), -1) / np.sqrt(smooth[:1].size)
    return np.column_stack([pixels, GRAIN_WEIGHT * grain])


def choose_nearest(
    images: np.ndarray, true_class: np.ndarray, known: np.ndarray, known_class: np.ndarray
) -> np.ndarray:
    """The known image of its class that is most like each image: indices int64 [N].

    images: uint8 [N, C, H, W].  known: [M, C, H, W], with some of each class.  true_class: [N], known_class: [M].
    """
    wanted, held, nearest = describe(images), describe(known), np.zeros(len(images), np.int64)
    for label in np.unique(true_class):
        own, rows = true_class == label, np.flatnonzero(known_class == label)
        nearest[own] = rows[cKDTree(held[rows]).query(wanted[own])[1]]
    return nearest


def measure_misfit(images: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of an image's likelihood, but for a constant, [N].

    images: [N, C, H, W] in [0, 1].  first, second: the generator's, under independent noise.  Half their mean squared
    difference is the noise's variance v; their mean keeps half of it, which is taken off the squared error.
    """
    variance = (first - second).square().flatten(1).mean(dim=1) / 2
    error = (images - (first + second) / 2).square().flatten(1).mean(dim=1) - variance / 2
    spread = variance + LEAST_VARIANCE
    return EVIDENCE * images[0].numel() / 2 * (error.relu() / spread + spread.log())


def invert(
    world: World,
    map_styles: MapStyles,
    domain: Domain,
    images: np.ndarray,
    true_class: np.ndarray,
    start: np.ndarray,
    std: np.ndarray,
    *,
    steps: int,
    style_steps: int,
    stream: Callable[[int], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
) -> Inverted:
    """Find latents of each image; w stays inside the domain.

    world: over styles.  images: uint8 [N, C, H, W].  true_class: [N].  start: w [N, W] float32.  std: [D], of each
    style.  steps: in W, then style_steps in S.  stream: image -> its random generator, for the noise under which it is
    looked at and the one it gets; no image depends on those beside it.  advance: told the number of images done.
    """
    noise = np.zeros(len(images), np.int64)
    whitened = domain.whiten(start, true_class)
    offset = np.zeros((len(images), len(std)))
    for rows in world.split(len(images)):
        some = range(len(images))[rows]
        seeds = np.array([draw_seeds(1 + DRAWS * (steps + style_steps), stream(index)) for index in some])
        noise[rows] = seeds[:, 0]
        drawn = seeds[:, 1:].reshape(len(some), -1, DRAWS).transpose(1, 2, 0)
        one = _Batch(world, map_styles, domain, to_unit(images[rows]).to(world.device), true_class[rows])
        whitened[rows] = one.descend(whitened[rows], drawn[:steps])
        offset[rows] = one.depart(whitened[rows], std, drawn[steps:])
        advance(len(some))
    w = domain.place(whitened, true_class)
    with torch.no_grad():
        own = map_styles(torch.from_numpy(w).to(world.device)).cpu().numpy()
    added = np.asarray(offset * std, np.float32)
    return Inverted(w, added, own + added, noise, np.linalg.norm(whitened, axis=1))


@dataclass(frozen=True)
class _Batch:
    """The images [n, C, H, W] that are inverted together, and their classes [n]."""

    world: World
    map_styles: MapStyles
    domain: Domain
    images: torch.Tensor
    true_class: np.ndarray

    def descend(self, whitened: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Steps in W, in whitened coordinates [n, W]; seeds: int64 [steps, DRAWS, n]."""
        at = torch.from_numpy(self.domain.hold(whitened, self.true_class))
        optimizer, schedule = _open_steps(at, RATE, len(seeds))
        for drawn in seeds:
            place = self.domain.place(at.numpy(), self.true_class)
            leaf = torch.from_numpy(place).to(self.world.device).requires_grad_(True)
            (slope,) = torch.autograd.grad(self._misfit(self.map_styles(leaf), drawn).sum(), leaf)
            pulled = self.domain.pull_back(slope.double().cpu().numpy(), self.true_class)
            at.grad = torch.from_numpy(pulled) + at
            optimizer.step()
            schedule.step()
            at.copy_(torch.from_numpy(self.domain.hold(at.numpy(), self.true_class)))
        return np.asarray(at.numpy())

    def depart(self, whitened: np.ndarray, std: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Steps in S from the styles of w, in std [n, D]; seeds: int64 [style_steps, DRAWS, n]."""
        w = torch.from_numpy(self.domain.place(whitened, self.true_class)).to(self.world.device)
        with torch.no_grad():
            own = self.map_styles(w)
        unit = torch.from_numpy(np.asarray(std, np.float32)).to(self.world.device)
        offset = torch.zeros_like(own)
        optimizer, schedule = _open_steps(offset, STYLE_RATE, len(seeds))
        for drawn in seeds:
            leaf = offset.clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(self._misfit(own + leaf * unit, drawn).sum(), leaf)
            offset.grad = slope + offset
            optimizer.step()
            schedule.step()
            offset.clamp_(-FARTHEST_STYLE_STD, FARTHEST_STYLE_STD)
        return np.asarray(offset.cpu().numpy())

    def _misfit(self, styles: torch.Tensor, seeds: np.ndarray) -> torch.Tensor:
        """Of styles [n, D] under two draws of noise, int64 [DRAWS, n]."""
        first, second = self.world.synthesize(torch.cat([styles] * DRAWS), seeds.ravel()).chunk(DRAWS)
        return measure_misfit(self.images, first, second)


def _open_steps(
    parameters: torch.Tensor, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam, whose rate falls to 0 along half a cosine; each image has averages of its own, for it has its own rows."""
    optimizer = torch.optim.Adam([parameters], lr=rate, betas=MEMORY)
    return optimizer, CosineAnnealingLR(optimizer, max(steps, 1))
