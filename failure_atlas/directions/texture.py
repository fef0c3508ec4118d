"""Noise, sharpness and brightness of an image, each as little moved by the other two as a small image allows."""

import numpy as np
from scipy import ndimage

from failure_atlas.directions.outline import DENOISE_STD_PX, ENLARGE, Outlines

HIGH_PASS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)  # of norm 6, blind to planes and straight edges
MARGIN_PX = 2  # background pixels this near to a stroke feel its flanks
LEAST_BACKGROUND_PX = 64  # fewer tell no noise level; then the whole image is used
WIDEST_EDGE_PX = 32.0
STRETCH_PX = 4.5  # of centreline over which grey is averaged against noise
BRIGHT_QUANTILE = 0.9  # of the stretches: thin places are dimmer without the stroke being fainter


def measure_texture(images: np.ndarray, outlines: Outlines, centreline: np.ndarray) -> dict[str, np.ndarray]:
    """Measurements of N grey images, float64 [N, H, W] in [0, 1]: [N] float64 each, NaN where the mask is empty.

    noise: standard deviation of the background by Immerkaer's (1996) filter, in units of grey; images clipped at black
    show less than was added, which the calibration mends.  edge: width of the strokes' flanks in pixels, height over
    steepest slope.  intensity: grey of the brightest tenth of the centreline, in the mean over stretches of 4.5 px.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        intensity = _measure_intensity(outlines.raw, centreline)
        slope = _measure_slope(outlines)
        edge = (intensity - outlines.background) / slope
    edge = np.where((slope > 0) & (edge < WIDEST_EDGE_PX), edge, WIDEST_EDGE_PX)
    empty = ~outlines.mask.any(axis=(1, 2))
    values = {"noise": _measure_noise(images, outlines.mask), "edge": edge, "intensity": intensity}
    return {name: np.where(empty, np.nan, value) for name, value in values.items()}


def measure_whole(images: np.ndarray) -> dict[str, np.ndarray]:
    """The same of images without strokes, such as photographs: of the whole image, nothing of it NaN.

    edge: the range of grey over the steepest slope, both but for the last hundredth, of the denoised image.
    intensity: mean grey.
    """
    smooth = ndimage.gaussian_filter(images, (0, DENOISE_STD_PX, DENOISE_STD_PX))
    slope = np.quantile(np.hypot(*np.gradient(smooth, axis=(1, 2))), 0.99, axis=(1, 2))
    low, high = np.quantile(smooth, (0.01, 0.99), axis=(1, 2))
    edge = np.where(slope * WIDEST_EDGE_PX > high - low, (high - low) / np.where(slope > 0, slope, 1), WIDEST_EDGE_PX)
    noise = _measure_noise(images, np.zeros((len(images), *(ENLARGE * size for size in images.shape[1:])), bool))
    return {"noise": noise, "edge": edge, "intensity": images.mean(axis=(1, 2))}


def _measure_noise(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    stroke = mask.reshape(len(mask), images.shape[1], ENLARGE, images.shape[2], ENLARGE).any(axis=(2, 4))
    reach = np.ones((1, 2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), bool)
    background = ~ndimage.binary_dilation(stroke, reach)
    background[background.sum(axis=(1, 2)) < LEAST_BACKGROUND_PX] = True
    response = np.abs(ndimage.convolve(images, HIGH_PASS[None], mode="reflect"))
    mean = (response * background).sum(axis=(1, 2)) / background.sum(axis=(1, 2))
    return np.asarray(np.sqrt(np.pi / 2) / 6 * mean)


def _measure_intensity(raw: np.ndarray, centreline: np.ndarray) -> np.ndarray:
    window = (0, *[int(STRETCH_PX * ENLARGE)] * 2)
    grey, weight = (ndimage.uniform_filter(values, window) for values in (raw * centreline, centreline.astype(float)))
    stretches = np.where(centreline, grey / np.where(centreline, weight, 1), -np.inf).reshape(len(raw), -1)
    rank = np.ceil(BRIGHT_QUANTILE * centreline.sum(axis=(1, 2))).astype(np.int64)
    place = stretches.shape[1] - centreline.sum(axis=(1, 2)) + np.maximum(rank, 1) - 1
    place = np.minimum(place, stretches.shape[1] - 1)  # without a centreline: any, for it is not used
    return np.asarray(np.take_along_axis(np.sort(stretches, axis=1), place[:, None], axis=1)[:, 0])


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
