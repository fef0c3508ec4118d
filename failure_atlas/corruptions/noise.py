"""Noise of every pixel and channel by itself: Gaussian, shot, impulse, speckle.

The constants know no size. On grey images stacked to RGB the noise would differ by channel, as on colour ones.
"""

import numpy as np
import torch

from failure_atlas.corruptions.entry import (
    HENDRYCKS,
    MNIST_C,
    Corruption,
    by_hendrycks,
    clip_unit,
    draw_normal,
    draw_uniform,
    image_by_image,
    rows,
)


@image_by_image
def add_gaussian_noise(image: np.ndarray, generator: torch.Generator, std: float) -> np.ndarray:
    """x + std n, n standard normal, clipped."""
    return clip_unit(image + draw_normal(generator, image.shape) * std)


@image_by_image
def add_shot_noise(image: np.ndarray, generator: torch.Generator, photons: float) -> np.ndarray:
    """Counting noise: Poisson of mean x photons, divided by photons, clipped; black unchanged."""
    counts: np.ndarray = torch.poisson(torch.from_numpy(image * photons), generator=generator).numpy()
    return clip_unit(counts / photons)


@image_by_image
def add_impulse_noise(image: np.ndarray, generator: torch.Generator, amount: float) -> np.ndarray:
    """Salt and pepper: each value is replaced with chance `amount`, by 0 or 1 with equal chance."""
    hit = draw_uniform(generator, image.shape) < amount
    salt = draw_uniform(generator, image.shape) < 0.5
    return np.where(hit, salt.astype(image.dtype), image)


@image_by_image
def add_speckle_noise(image: np.ndarray, generator: torch.Generator, std: float) -> np.ndarray:
    """x + x std n, n standard normal, clipped: black unchanged."""
    return clip_unit(image + image * std * draw_normal(generator, image.shape))


GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT = (60, 25, 12, 5, 3)
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)

NOISES = (
    Corruption(
        "gaussian_noise",
        add_gaussian_noise,
        by_hendrycks(GAUSSIAN, (0.04, 0.08, 0.12, 0.15, 0.18), (0.04, 0.06, 0.08, 0.09, 0.10))
        | {MNIST_C: rows(GAUSSIAN)},
        "std",
        HENDRYCKS,
        key="noise",  # as stores have named the paper's second step from the start
    ),
    Corruption(
        "shot_noise",
        add_shot_noise,
        by_hendrycks(SHOT, (250, 100, 50, 30, 15), (500, 250, 100, 75, 50)) | {MNIST_C: rows(SHOT)},
        "photons at white",
        HENDRYCKS,
    ),
    Corruption(
        "impulse_noise",
        add_impulse_noise,
        by_hendrycks(IMPULSE, (0.01, 0.02, 0.05, 0.08, 0.14), (0.01, 0.02, 0.03, 0.05, 0.07))
        | {MNIST_C: rows(IMPULSE)},
        "share of values",
        HENDRYCKS,
    ),
    Corruption(
        "speckle_noise",
        add_speckle_noise,
        by_hendrycks(SPECKLE, (0.15, 0.2, 0.25, 0.3, 0.35), (0.06, 0.1, 0.12, 0.16, 0.2)) | {MNIST_C: rows(SPECKLE)},
        "std, relative",
        HENDRYCKS,
    ),
)
