"""Weather: fog, snow and spatter. Frost is left out, because it is made of photographs that come with ImageNet-C."""

import numpy as np
import torch

from failure_atlas.corruptions.blurs import blur_matrix, smear, zoom_matrix
from failure_atlas.corruptions.entry import clip_unit, draw_normal, draw_uniform, image_by_image, multiply_axes
from failure_atlas.images.image_set import LUMINANCE

MUD = np.array([63, 42, 20]) / 255
SOLID = 0.8  # below this the smoothed spatter is cut off


@image_by_image
def add_fog(image: np.ndarray, generator: torch.Generator, strength: float, decay: float) -> np.ndarray:
    """Add a plasma in all channels, and scale back so that the brightest value stays where it was.

    The plasma spans the image, as in cifar-c and tiny-imagenet-c; MNIST-C cuts 28 px out of one of 256 px.
    """
    height, width = image.shape[-2:]
    plasma = draw_plasma(generator, 2 ** int(np.ceil(np.log2(max(height, width)))), decay)[:height, :width]
    peak = image.max()
    return clip_unit((image + strength * plasma) * peak / (peak + strength))


def draw_plasma(generator: torch.Generator, size: int, decay: float) -> np.ndarray:
    """A height map [size, size] in [0, 1] by midpoint displacement (diamond-square) on a torus; size a power of 2.

    Each finer level moves by 1 / decay^2 of the one before: a low decay gives a rough map.
    """
    grid, step, reach = np.zeros((size, size)), size, 1.0
    while step >= 2:
        half, cells = step // 2, size // step
        moves = draw_uniform(generator, (3, cells, cells), -reach, reach)
        corners = grid[::step, ::step]
        below, right = np.roll(corners, -1, axis=0), np.roll(corners, -1, axis=1)
        middles = (corners + below + right + np.roll(below, -1, axis=1)) / 4 + moves[0]
        grid[half::step, half::step] = middles
        grid[::step, half::step] = (corners + right + middles + np.roll(middles, 1, axis=0)) / 4 + moves[1]
        grid[half::step, ::step] = (corners + below + middles + np.roll(middles, 1, axis=1)) / 4 + moves[2]
        step, reach = half, reach / decay**2
    grid -= grid.min()
    return np.asarray(grid / grid.max())


@image_by_image
def add_snow(
    image: np.ndarray,
    generator: torch.Generator,
    mean: float,
    std: float,
    zoom: float,
    threshold: float,
    radius_px: float,
    motion_std_px: float,
    kept: float,
) -> np.ndarray:
    """Flakes of normal noise above a threshold, enlarged and smeared by their fall, over a whitened image."""
    size = image.shape[-2:]
    flakes = mean + std * draw_normal(generator, size)
    flakes = multiply_axes(flakes, *(zoom_matrix(length, zoom) for length in size))
    flakes = np.where(flakes < threshold, 0, np.clip(flakes, 0, 1))
    flakes = smear(flakes, radius_px, motion_std_px, float(draw_uniform(generator, (), -135, -45)))
    grey = image[0] if len(image) == 1 else np.tensordot(LUMINANCE, image, 1)
    whitened = kept * image + (1 - kept) * np.maximum(image, grey * 1.5 + 0.5)
    return clip_unit(whitened + flakes + np.rot90(flakes, 2))


@image_by_image
def add_spatter(
    image: np.ndarray,
    generator: torch.Generator,
    mean: float,
    std: float,
    blur_std_px: float,
    threshold: float,
    edge_std_px: float,
) -> np.ndarray:
    """Drops of mud where smoothed normal noise is above a threshold; grey images get the red of the mud."""
    size = image.shape[-2:]
    layer = _smooth(mean + std * draw_normal(generator, size), blur_std_px)
    drops = _smooth((layer > threshold).astype(float), edge_std_px)
    drops = np.where(drops < SOLID, 0, drops)
    return clip_unit(image * (1 - drops) + MUD[: len(image), None, None] * drops)


def _smooth(layer: np.ndarray, std_px: float) -> np.ndarray:
    matrices = (blur_matrix(length, std_px, torch.float64).numpy() for length in layer.shape)
    return multiply_axes(layer, *matrices)
