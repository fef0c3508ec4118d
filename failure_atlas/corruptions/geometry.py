"""Changes of shape: rotation, scale, shear, translation, and the elastic transform.

mnist-c gives angles in radians, and translation in pixels of 28 px images; the frame is filled with black, as there.
"""

import numpy as np
import torch
from scipy import ndimage
from skimage.transform import AffineTransform, warp

from failure_atlas.corruptions.entry import clip_unit, draw_sign, draw_uniform, image_by_image, without_chance

ELASTIC_TRUNCATE_STD = 3.0


@image_by_image
def rotate(image: np.ndarray, generator: torch.Generator, radians: float) -> np.ndarray:
    """Turn about the middle, clockwise or counter-clockwise with equal chance."""
    angle = draw_sign(generator) * radians
    return warp_about_middle(image, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))


@without_chance
def scale(images: np.ndarray, factor: float) -> np.ndarray:
    """Shrink to 1 / factor about the middle. Nothing is drawn."""
    return np.stack([warp_about_middle(image, np.diag([factor, factor])) for image in images])


@image_by_image
def shear(image: np.ndarray, generator: torch.Generator, radians: float) -> np.ndarray:
    """Slant by an angle about the middle, to either side with equal chance, which also stretches by 1 / cos.

    That is what scikit-image meant by a shear when MNIST-C was made; its later releases slant by the tangent.
    """
    angle = draw_sign(generator) * radians
    return warp_about_middle(image, np.array([[1, -np.sin(angle)], [0, np.cos(angle)]]))


@image_by_image
def translate(image: np.ndarray, generator: torch.Generator, distance_px: float) -> np.ndarray:
    """Move by this distance along both axes, each to either side with equal chance."""
    shift = [draw_sign(generator) * distance_px for _ in range(2)]
    return warp_about_middle(image, np.eye(2), shift)


def warp_about_middle(image: np.ndarray, matrix: np.ndarray, shift_px: object = (0.0, 0.0)) -> np.ndarray:
    """Take pixel p (x, y) of [C, H, W] from matrix (p - middle) + middle + shift, linearly; black outside."""
    middle = (np.array(image.shape[:0:-1]) - 1) / 2
    whole = np.eye(3)
    whole[:2, :2] = matrix
    whole[:2, 2] = middle - matrix @ middle + np.asarray(shift_px)
    inverse = AffineTransform(matrix=whole)  # type: ignore[no-untyped-call]
    moved = warp(np.moveaxis(image, 0, -1), inverse, order=1, cval=0.0)  # type: ignore[no-untyped-call]
    return clip_unit(np.moveaxis(moved, -1, 0))


@image_by_image
def transform_elastically(
    image: np.ndarray, generator: torch.Generator, reach: float, std: float, jitter: float
) -> np.ndarray:
    """A random affine map of three points, then a random field of shifts, both linear and mirrored at the edge.

    reach, std: largest shift and width of the Gaussian that smooths the field.  jitter: largest move of the three
    points. All are shares of the shorter side, so that every table serves every size.
    """
    height, width = image.shape[-2:]
    side = min(height, width)
    middle = np.array([height // 2, width // 2], float)
    points = middle + side // 3 * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + draw_uniform(generator, (3, 2), -jitter * side, jitter * side)
    # The map that takes each moved point back to where it came from.
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), points)
    y, x = np.mgrid[:height, :width]
    sources = np.stack([y, x, np.ones_like(x)], axis=-1) @ back
    image = _sample(image, sources[..., 0], sources[..., 1], "mirror")
    fields = [draw_uniform(generator, (height, width), -1, 1) for _ in range(2)]
    down, right = (
        ndimage.gaussian_filter(field, std * side, mode="reflect", truncate=ELASTIC_TRUNCATE_STD) * reach * side
        for field in fields
    )
    return clip_unit(_sample(image, y + down, x + right, "reflect"))


def _sample(image: np.ndarray, y: np.ndarray, x: np.ndarray, mode: str) -> np.ndarray:
    return np.stack([ndimage.map_coordinates(channel, (y, x), order=1, mode=mode) for channel in image])
