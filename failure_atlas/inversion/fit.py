"""How far a reconstruction is from its image: in pixels, in the strokes, in noise and in blur."""

import numpy as np
import pandas as pd

from failure_atlas.attributes.registry import REGISTRY, measure_images
from failure_atlas.inversion.invert import smooth_pixels


def measure_fit(images: np.ndarray, made: np.ndarray, *, figures: bool = True) -> pd.DataFrame:
    """One row for each of N images; images, made: uint8 [N, C, H, W].

    rmse: of all pixels, white being 1; most of a noisy image's is noise, which is never the same.  structure_rmse: of
    the smoothed difference, in which little of the noise is left.  noise, edge: of the image, as the
    attributes noise and blur are measured, which is the width of flanks; noise_error, edge_error: what the
    reconstruction has more.  figures: as in `measure_images`.
    """
    difference = (made.astype(np.float64) - images) / 255
    measured = [REGISTRY[name] for name in ("noise", "blur")]
    held, shown = (measure_images(each, figures=figures, attributes=measured) for each in (images, made))
    noise, edge = held.T
    noise_error, edge_error = (shown - held).T
    return pd.DataFrame(
        {
            "rmse": _root_mean_square(difference),
            "structure_rmse": _root_mean_square(smooth_pixels(difference)),
            "noise": noise,
            "noise_error": noise_error,
            "edge": edge,
            "edge_error": edge_error,
        }
    )


def measure_contrast(images: np.ndarray) -> np.ndarray:
    """Brightest less darkest place of each smoothed image, [N], white being 1; images: uint8 [N, C, H, W].

    Far below that of real images there is nothing to see, whatever networks say of it.
    """
    return np.asarray(np.ptp(smooth_pixels(images / 255).reshape(len(images), -1), axis=1))


def _root_mean_square(difference: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.square(difference).mean(axis=(1, 2, 3))))
