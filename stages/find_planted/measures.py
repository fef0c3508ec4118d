"""What images look like, measured by code that shares nothing with the attributes: blind spots fire on it.

Half the height of the smoothed image, regions and bounding boxes of scikit-image, noise from the
diagonal Haar coefficients (Donoho and Johnstone 1994).
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.measure import label, perimeter_crofton, regionprops

MEASURES = ("noise", "contrast", "thickness", "rotation", "aspect", "size")
SMOOTH_PX = 0.7
SPECK = 0.05  # of the figure: smaller regions are noise


def measure_otherwise(images: np.ndarray, advance: Callable[[int], object] = lambda _: None) -> dict[str, np.ndarray]:
    """Each of MEASURES, [N] float64; images: uint8 [N, C, H, W]. NaN where there is no figure."""
    rows = np.full((len(images), len(MEASURES)), np.nan)
    for place, image in enumerate(images.mean(axis=1) / 255):
        rows[place] = _measure(image)
        advance(1)
    return dict(zip(MEASURES, rows.T, strict=True))


def _measure(image: np.ndarray) -> list[float]:
    even, odd = slice(0, image.shape[0] // 2 * 2, 2), slice(1, None, 2)
    diagonal = (image[even, even] - image[even, odd] - image[odd, even] + image[odd, odd]) / 2
    noise = float(np.median(np.abs(diagonal)) / 0.6745)
    smooth = ndimage.gaussian_filter(image, SMOOTH_PX)
    ground, peak = np.median(smooth), np.quantile(smooth, 0.98)
    regions = label(smooth > (ground + peak) / 2, connectivity=2)  # type: ignore[no-untyped-call]
    sizes = np.bincount(regions.ravel())[1:]
    kept = np.flatnonzero(sizes >= SPECK * sizes.sum()) + 1
    mask = np.isin(regions, kept)
    if peak <= ground or not mask.any():
        return [noise] + [np.nan] * (len(MEASURES) - 1)
    (figure,) = regionprops(mask.astype(np.uint8))  # type: ignore[no-untyped-call]
    top, left, bottom, right = figure.bbox
    thickness = 2 * mask.sum() / max(perimeter_crofton(mask), 1.0)  # type: ignore[no-untyped-call]
    height, width = bottom - top, right - left
    rotation, contrast = -np.degrees(figure.orientation), float(peak - ground)
    return [noise, contrast, thickness, rotation, height / width, np.sqrt(height * width)]
