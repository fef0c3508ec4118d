"""The shape of strokes: Morpho-MNIST's measurements (Castro et al. 2019), from the paper's definitions.

The departures: sizes come from second moments instead of a bounding parallelogram, which one speck would stretch.
Each function takes N images and returns [N] float64, lengths in image pixels; of an empty mask it may say anything.
"""

import numpy as np

from failure_atlas.attributes.outline import ENLARGE, count_edges, count_holes
from failure_atlas.attributes.view import Moments, View

UNIFORM = np.sqrt(12)  # length of a uniform bar over its standard deviation
LEAST_VARIANCE = 1 / 12  # px^2: of a single row or column of pixels
LEAST_HOLE_PX2 = 1.0
ENDS = 0.01  # of a figure's pixels, at either end, are no part of its height or width: one speck stretches neither


def measure_thickness(view: View) -> np.ndarray:
    """Twice the mean distance to the background along the centreline."""
    # The nearest background pixel's centre is half a pixel beyond the edge, but in strokes of even width the
    # centreline lies half a pixel aside: a quarter in the mean.
    along = (view.distance * view.centreline).sum(axis=(1, 2))
    return np.asarray(2 * (along / view.points - 0.25) / ENLARGE)


def measure_slant(view: View) -> np.ndarray:
    """Degrees from upright, positive if the top leans right."""
    return np.asarray(np.degrees(np.arctan(-view.moments.cov / np.maximum(view.moments.var_y, LEAST_VARIANCE))))


def measure_rotation(view: View) -> np.ndarray:
    """Degrees of the main axis from upright, in (-90, 90], positive if its top is on the right."""
    _, _, var_x, var_y, cov = view.moments
    degrees = np.degrees(np.arctan2(-2 * cov, var_y - var_x)) / 2
    return np.asarray(np.where(degrees <= -90, 90.0, degrees))


def measure_size(view: View) -> np.ndarray:
    """Geometric mean of height and width, after the slant is taken out."""
    height, width = _measure_sides(view.moments)
    return np.asarray(np.sqrt(height * width))


def measure_aspect(view: View) -> np.ndarray:
    """Log of height over width, after the slant is taken out."""
    height, width = _measure_sides(view.moments)
    return np.asarray(np.log(height / width))


def measure_height(view: View) -> np.ndarray:
    """From the top to the bottom, as with a ruler: but for a hundredth of the pixels at either end."""
    return _measure_extent(view.outlines.mask.sum(axis=2))


def measure_width(view: View) -> np.ndarray:
    """From the left to the right, as with a ruler: but for a hundredth of the pixels at either end."""
    return _measure_extent(view.outlines.mask.sum(axis=1))


def measure_elongation(view: View) -> np.ndarray:
    """Height over width, as with a ruler."""
    return np.asarray(measure_height(view) / np.maximum(measure_width(view), 1 / ENLARGE))


def measure_x(view: View) -> np.ndarray:
    """The centroid, from the left."""
    return view.moments.x


def measure_y(view: View) -> np.ndarray:
    """The centroid, from the top."""
    return view.moments.y


def measure_holes(view: View) -> np.ndarray:
    """Holes of at least 1 px^2."""
    return count_holes(view.outlines.mask, LEAST_HOLE_PX2 * ENLARGE**2).astype(np.float64)


def measure_pieces(view: View) -> np.ndarray:
    """Pieces that are no specks."""
    return view.outlines.pieces.astype(np.float64)


def measure_area(view: View) -> np.ndarray:
    """Of the mask, px^2."""
    return np.asarray(view.outlines.mask.sum(axis=(1, 2)) / ENLARGE**2)


def measure_length(view: View) -> np.ndarray:
    """Of the centreline."""
    return np.asarray(view.points / ENLARGE)


def measure_cut_off(view: View) -> np.ndarray:
    """Share of the outline that lies on the frame: where the frame cuts the figure."""
    on_frame, inside = count_edges(view.outlines.mask)
    return np.asarray(on_frame / (on_frame + inside))


def _measure_sides(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    _, _, var_x, var_y, cov = moments
    upright = var_x - cov**2 / np.maximum(var_y, LEAST_VARIANCE)
    height, width = (UNIFORM * np.sqrt(np.maximum(variance, LEAST_VARIANCE)) for variance in (var_y, upright))
    return height, width


def _measure_extent(profile: np.ndarray) -> np.ndarray:
    """Where all but the ends of a profile [N, 2L] lie, in image pixels, linear within a pixel."""
    share = np.cumsum(profile, axis=1) / np.maximum(profile.sum(axis=1, keepdims=True), 1)
    before = np.concatenate([np.zeros((len(share), 1)), share[:, :-1]], axis=1)
    rows, places = np.arange(len(share)), []
    for level in (ENDS, 1 - ENDS):
        first = (share >= level).argmax(axis=1)
        step = np.maximum(share[rows, first] - before[rows, first], np.finfo(float).tiny)
        places.append(first + (level - before[rows, first]) / step)
    return np.asarray((places[1] - places[0]) / (1 - 2 * ENDS) / ENLARGE)
