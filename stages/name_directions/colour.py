"""What colour an image has, in the mean and in its parts; brightness moves none of it."""

import numpy as np

BLOCK_PX = 4  # noise averages out over a block, the colours of parts do not


def measure_colour(images: np.ndarray) -> dict[str, np.ndarray]:
    """Measurements of N images, float64 [N, 3, H, W] in [0, 1]: [N] each; 0 where an image is black.

    red_green: red less green, blue_yellow: blue less the mean of both, of the mean colour, as shares of all light.
    colour: how far from grey blocks of 4 x 4 px are, whichever way, as a share of all light.
    """
    count, channels, height, width = images.shape
    cut = images[:, :, : height // BLOCK_PX * BLOCK_PX, : width // BLOCK_PX * BLOCK_PX]
    blocks = cut.reshape(count, channels, height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX).mean(axis=(3, 5))
    light = np.maximum(blocks.sum(axis=(1, 2, 3)), np.finfo(float).tiny)
    red, green, blue = np.moveaxis(blocks, 1, 0)
    opponents = np.stack([red - green, blue - (red + green) / 2])
    red_green, blue_yellow = opponents.sum(axis=(2, 3)) / light
    return {
        "red_green": red_green,
        "blue_yellow": blue_yellow,
        "colour": np.hypot(*opponents).sum(axis=(1, 2)) / light,
    }
