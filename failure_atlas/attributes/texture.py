"""Noise, sharpness, contrast, brightness and colour, each as little moved by the others as a small image allows.

Each function takes N images and returns [N] float64. Without figures, as in photographs, it is of the whole image.
Colours are of images of 3 channels, as shares of all light, so that brightness moves none of them; 0 of black ones.
"""

import numpy as np
from scipy import ndimage

from failure_atlas.attributes.outline import ENLARGE, Outlines
from failure_atlas.attributes.view import View

HIGH_PASS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)  # of norm 6, blind to planes and straight edges
WIDEST_FLANK_PX = 32.0


def measure_noise(view: View) -> np.ndarray:
    """Standard deviation of the ground by Immerkaer's (1996) filter, in units of grey.

    Images clipped at black show less than was added, which the calibration mends.
    """
    response = np.abs(ndimage.convolve(view.grey, HIGH_PASS[None], mode="reflect"))
    mean = (response * view.ground).sum(axis=(1, 2)) / view.ground.sum(axis=(1, 2))
    return np.asarray(np.sqrt(np.pi / 2) / 6 * mean)


def measure_flank(view: View) -> np.ndarray:
    """Width of the strokes' flanks in pixels, height over steepest slope: what blur widens.

    Without figures: the range of grey over the steepest slope, both but for the last hundredth, of the denoised image.
    """
    if view.figures:
        slope = _measure_slope(view.outlines)
        flank = (view.ridge - view.outlines.background) / slope
        return np.where((slope > 0) & (flank < WIDEST_FLANK_PX), flank, WIDEST_FLANK_PX)
    slope = np.quantile(np.hypot(*np.gradient(view.smooth, axis=(1, 2))), 0.99, axis=(1, 2))
    height = measure_contrast(view)
    return np.where(slope * WIDEST_FLANK_PX > height, height / np.where(slope > 0, slope, 1), WIDEST_FLANK_PX)


def measure_contrast(view: View) -> np.ndarray:
    """Grey of the ridge less grey of the ground.

    Without figures: the range of grey of the denoised image, but for the last hundredth at both ends.
    """
    if view.figures:
        return np.asarray(view.ridge - view.ground_grey)
    low, high = view.grey_range
    return np.asarray(high - low)


def measure_brightness(view: View) -> np.ndarray:
    """Grey of the ground around the figure; without figures the mean grey."""
    return view.ground_grey if view.figures else np.asarray(view.grey.mean(axis=(1, 2)))


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


def _measure_slope(outlines: Outlines) -> np.ndarray:
    """Mean slope of the raw image across the outline, grey per image pixel; NaN where there is none.

    The way across is that of the denoised image: along it noise averages out, whereas the length of the raw gradient
    would only grow with noise.
    """
    inner = ndimage.binary_erosion(outlines.mask, np.ones((1, 3, 3), bool), border_value=1)
    rim = np.nonzero(outlines.mask & ~inner)  # a few pixels: differences are taken there alone
    raw, smooth = (_differentiate(values, rim) for values in (outlines.raw, outlines.smooth))
    steepness = np.hypot(*smooth)
    across = (raw * smooth).sum(axis=0) / np.where(steepness > 0, steepness, 1) * ENLARGE
    count = np.bincount(rim[0], minlength=len(outlines.mask))
    return np.asarray(np.bincount(rim[0], across, minlength=len(outlines.mask)) / count)


def _differentiate(values: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
    """Central differences of values [N, H, W] at places (n, y, x), in y and in x: [2, P]; one-sided at the frame."""
    n, y, x = places
    up, down = np.maximum(y - 1, 0), np.minimum(y + 1, values.shape[1] - 1)
    left, right = np.maximum(x - 1, 0), np.minimum(x + 1, values.shape[2] - 1)
    along_y = (values[n, down, x] - values[n, up, x]) / (down - up)
    return np.stack([along_y, (values[n, y, right] - values[n, y, left]) / (right - left)])
