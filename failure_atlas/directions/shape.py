"""The shape of strokes: Morpho-MNIST's measurements (Castro et al. 2019), from the paper's definitions.

The departures: sizes come from second moments instead of a bounding parallelogram, which one speck would stretch.
"""

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from failure_atlas.directions.outline import ENLARGE, Outlines, count_holes, join_frames, split_frames

UNIFORM = np.sqrt(12)  # length of a uniform bar over its standard deviation
LEAST_VARIANCE = 1 / 12  # px^2: of a single row or column of pixels
LEAST_HOLE_PX2 = 1.0


def find_centreline(mask: np.ndarray) -> np.ndarray:
    """The skeleton of each mask, bool [N, H, W] (Zhang and Suen 1984)."""
    return split_frames(skeletonize(join_frames(mask)), len(mask))  # type: ignore[no-untyped-call]


def measure_shape(outlines: Outlines, centreline: np.ndarray) -> dict[str, np.ndarray]:
    """Measurements of N masks, [N] float64 each; NaN where the mask is empty. Lengths are in image pixels.

    thickness: twice the mean distance to the background along the centreline.  length: of the centreline.
    slant: degrees from upright, positive if the top leans right.  size: geometric mean of height and width, aspect:
    log of height over width, both after the slant is taken out.  x, y: the centroid, from the left and from the top.
    holes, pieces: counts.
    """
    mask = outlines.mask
    distance = split_frames(ndimage.distance_transform_edt(join_frames(mask)), len(mask))
    points = centreline.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        # The nearest background pixel's centre is half a pixel beyond the edge, but in strokes of even width the
        # centreline lies half a pixel aside: a quarter in the mean.
        thickness = 2 * ((distance * centreline).sum(axis=(1, 2)) / points - 0.25) / ENLARGE
        x, y, var_x, var_y, cov = _take_moments(mask)
    height = UNIFORM * np.sqrt(np.maximum(var_y, LEAST_VARIANCE))
    upright = var_x - cov**2 / np.maximum(var_y, LEAST_VARIANCE)
    width = UNIFORM * np.sqrt(np.maximum(upright, LEAST_VARIANCE))
    empty = points == 0
    values = {
        "thickness": thickness,
        "slant": np.degrees(np.arctan(-cov / np.maximum(var_y, LEAST_VARIANCE))),
        "size": np.sqrt(height * width),
        "aspect": np.log(height / width),
        "x": x,
        "y": y,
        "holes": count_holes(mask, LEAST_HOLE_PX2 * ENLARGE**2).astype(np.float64),
        "pieces": outlines.pieces.astype(np.float64),
        "area": mask.sum(axis=(1, 2)) / ENLARGE**2,
        "length": points / ENLARGE,
    }
    return {name: np.where(empty, np.nan, value) for name, value in values.items()}


def _take_moments(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centroid (x, y), variances (x, y) and covariance of the pixels of each mask, in image pixels."""
    rows, columns = ((np.arange(size) + 0.5) / ENLARGE - 0.5 for size in mask.shape[1:])
    total = mask.sum(axis=(1, 2))
    by_row, by_column = mask.sum(axis=2), mask.sum(axis=1)
    y, x = (by_row * rows).sum(axis=1) / total, (by_column * columns).sum(axis=1) / total
    dy, dx = rows - y[:, None], columns - x[:, None]
    cov = ((mask * dx[:, None, :]).sum(axis=2) * dy).sum(axis=1) / total
    return x, y, (by_column * dx**2).sum(axis=1) / total, (by_row * dy**2).sum(axis=1) / total, cov
