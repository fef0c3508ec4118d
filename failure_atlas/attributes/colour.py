"""What colour an image has, in the mean and in its parts; brightness moves none of it.

Each function takes N images of 3 channels and returns [N] float64, shares of all light; 0 where an image is black.
"""

import numpy as np

from failure_atlas.attributes.view import View


def measure_red_green(view: View) -> np.ndarray:
    """Red less green of the mean colour."""
    opponents, light = view.colour_blocks
    return np.asarray(opponents[0].sum(axis=(1, 2)) / light)


def measure_blue_yellow(view: View) -> np.ndarray:
    """Blue less the mean of red and green of the mean colour."""
    opponents, light = view.colour_blocks
    return np.asarray(opponents[1].sum(axis=(1, 2)) / light)


def measure_saturation(view: View) -> np.ndarray:
    """How far from grey blocks of 4 x 4 px are, whichever way."""
    opponents, light = view.colour_blocks
    return np.asarray(np.hypot(*opponents).sum(axis=(1, 2)) / light)
