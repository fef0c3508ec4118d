"""Blurs: Gaussian, defocus, motion, glass, zoom.

Lengths are in pixels of the image at hand. imagenet-c means images of 224 px, tiny-imagenet-c of 64 px, cifar-c of
32 px; mnist-c takes those of imagenet-c at 28 px, which is severe.
"""

from itertools import product

import numpy as np
import torch
from scipy import ndimage

from failure_atlas.corruptions.entry import (
    Stream,
    clip_unit,
    draw_integers,
    draw_uniform,
    image_by_image,
    multiply_axes,
    without_chance,
)

TRUNCATE_STD = 4.0
MOTION_ANGLE_DEGREES = 45.0
SMALL_DISK_PX = 8  # up to this radius a disk is smoothed by 3 x 3 weights, beyond by 5 x 5


@without_chance
def blur_gaussian(images: np.ndarray, std_px: float) -> np.ndarray:
    """Gaussian blur of [N, C, H, W]; nothing is drawn."""
    return _blur(images, std_px)


def blur(images: torch.Tensor, std_px: float) -> torch.Tensor:
    """Gaussian blur of [N, C, H, W]: cut at 4 standard deviations, the edge pixel continued outside the frame."""
    rows, columns = (blur_matrix(size, std_px, images.dtype) for size in images.shape[-2:])
    return rows @ images @ columns.T


def blur_matrix(size: int, std_px: float, dtype: torch.dtype) -> torch.Tensor:
    """The blur along one axis as a matrix [size, size]: row i holds the weights that make pixel i; each row sums to 1.

    As a product of matrices the blur costs little at any width, and the edge is part of the weights.
    """
    radius = int(TRUNCATE_STD * std_px + 0.5)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.to(torch.float64) / std_px) ** 2)
    weights /= weights.sum()
    pixels = torch.arange(size)[:, None]
    sources = (pixels + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, sources, weights.expand(size, -1)).to(dtype)


def _blur(images: np.ndarray, std_px: float) -> np.ndarray:
    return np.asarray(blur(torch.from_numpy(images), std_px).numpy())


@without_chance
def blur_defocus(images: np.ndarray, radius_px: float, alias_std_px: float) -> np.ndarray:
    """Average over a smoothed disk, as a lens out of focus does; mirrored at the edge pixel. Nothing is drawn."""
    kernel = draw_disk(radius_px, alias_std_px)
    blurred: np.ndarray = ndimage.convolve(images, kernel[None, None], mode="mirror")
    return clip_unit(blurred)


def draw_disk(radius_px: float, alias_std_px: float) -> np.ndarray:
    """Weights [k, k] of a disk, k odd, its edge smoothed by a Gaussian; they add up to 1."""
    reach = max(SMALL_DISK_PX, int(np.ceil(radius_px)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= radius_px**2).astype(float)
    margin = 1 if radius_px <= SMALL_DISK_PX else 2
    weights = np.exp(-0.5 * (np.arange(-margin, margin + 1) / alias_std_px) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, weights, axis=axis, mode="mirror")
    kept = min(reach, int(radius_px) + margin)  # beyond it all weights are 0
    middle = slice(reach - kept, reach + kept + 1)
    disk = disk[middle, middle]
    return np.asarray(disk / disk.sum())


@image_by_image
def blur_motion(image: np.ndarray, generator: torch.Generator, radius_px: float, std_px: float) -> np.ndarray:
    """Motion along a direction drawn within 45 degrees of the horizontal."""
    angle = draw_uniform(generator, (), -MOTION_ANGLE_DEGREES, MOTION_ANGLE_DEGREES)
    return smear(image, radius_px, std_px, float(angle))


def smear(image: np.ndarray, radius_px: float, std_px: float, angle_degrees: float) -> np.ndarray:
    """Average of [..., H, W] along one direction, with the weights of one half of a Gaussian (as ImageMagick does).

    The 2 radius + 1 steps go to whole pixels; the edge pixel is continued.
    """
    steps = np.arange(2 * int(np.ceil(radius_px)) + 1)
    weights = np.exp(-0.5 * (steps / std_px) ** 2)
    weights /= weights.sum()
    angle = np.radians(angle_degrees)
    height, width = image.shape[-2:]
    result = np.zeros_like(image)
    for weight, step in zip(weights, steps, strict=True):
        down, right = (int(np.ceil(step * part - 0.5)) for part in (np.sin(angle), np.cos(angle)))
        from_rows, from_columns = (
            np.clip(np.arange(size) + shift, 0, size - 1) for size, shift in ((height, down), (width, right))
        )
        result += weight * image[..., from_rows[:, None], from_columns]
    return result


def blur_glass(images: np.ndarray, stream: Stream, std_px: float, reach_px: float, rounds: float) -> np.ndarray:
    """Gaussian blur, pixels swapped with near ones, Gaussian blur again.

    In each round every pixel, from the bottom right to the top left, changes places with one drawn from the square of
    -reach to reach - 1 around it. The pixel is swapped in all channels: the released code of ImageNet-C copies it on
    colour images, because two views of one array are no swap.
    """
    reach, (height, width) = int(reach_px), images.shape[-2:]
    offsets = np.stack(
        [
            draw_integers(stream(place), (int(rounds), height, width, 2), -reach, reach).astype(np.int8)
            for place in range(len(images))
        ]
    )
    shuffled = _blur(images, std_px)
    every = np.arange(len(images))
    sweep = product(range(int(rounds)), range(height - reach, reach, -1), range(width - reach, reach, -1))
    for turn, row, column in sweep:
        down, right = offsets[:, turn, row, column].T
        here = shuffled[:, :, row, column].copy()
        shuffled[:, :, row, column] = shuffled[every, :, row + down, column + right]
        shuffled[every, :, row + down, column + right] = here
    return _blur(shuffled, std_px)


@without_chance
def blur_zoom(images: np.ndarray, end: float, step: float) -> np.ndarray:
    """Mean of the image and of its enlargements from 1 to `end` in steps, about the middle. Nothing is drawn.

    The last factor is what NumPy's arange makes of the published limits, rounding errors included.
    """
    factors = np.arange(1, end, step)
    total = images.copy()
    for factor in factors:
        matrices = [zoom_matrix(size, float(factor)) for size in images.shape[-2:]]
        total += multiply_axes(images, *matrices)
    return clip_unit(total / (len(factors) + 1))


def zoom_matrix(size: int, factor: float) -> np.ndarray:
    """Enlargement about the middle along one axis as a matrix [size, size], interpolated linearly by SciPy."""
    kept = int(np.ceil(size / factor))
    start = (size - kept) // 2
    whole = ndimage.zoom(np.eye(size)[start : start + kept], (factor, 1), order=1)
    trim = (len(whole) - size) // 2
    return np.asarray(whole[trim : trim + size])
