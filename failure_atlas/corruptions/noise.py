"""Noise of every pixel and channel by itself: Gaussian, shot, impulse, speckle.

The constants know no size. On grey images stacked to RGB the noise would differ by channel, as on colour ones.
"""

import numpy as np
import torch

from failure_atlas.corruptions.entry import clip_unit, draw_normal, draw_uniform, image_by_image


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
