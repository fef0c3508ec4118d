"""Fewer data: JPEG and larger pixels, both by Pillow."""

from io import BytesIO

import numpy as np
from PIL import Image

from failure_atlas.corruptions.entry import (
    HENDRYCKS,
    MNIST_C,
    Corruption,
    by_hendrycks,
    clip_unit,
    multiply_axes,
    rows,
    without_chance,
)

WHITE = 255


@without_chance
def compress_jpeg(images: np.ndarray, quality: float) -> np.ndarray:
    """Through JPEG and back, grey or RGB, at 8 bits. Nothing is drawn.

    The bytes are those of the JPEG library in Pillow: another release may round a grey level differently.
    """
    return np.stack([_compress(image, int(quality)) for image in images])


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = np.round(image * WHITE).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels[0] if len(image) == 1 else np.moveaxis(pixels, 0, -1)).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        values = np.asarray(decoded, np.float64) / WHITE
    return np.asarray(values[None] if len(image) == 1 else np.moveaxis(values, -1, 0))


@without_chance
def pixelate(images: np.ndarray, factor: float) -> np.ndarray:
    """Shrink to int(factor * size) pixels and enlarge again, by averages over boxes. Nothing is drawn."""
    return clip_unit(multiply_axes(images, *(pixel_matrix(size, factor) for size in images.shape[-2:])))


def pixel_matrix(size: int, factor: float) -> np.ndarray:
    """Shrinking and enlarging along one axis as a matrix [size, size], made of what Pillow does to unit vectors."""
    small = max(1, int(size * factor))
    return np.asarray(_resize_rows(size, small) @ _resize_rows(small, size))


def _resize_rows(size: int, held: int) -> np.ndarray:
    """Resizing an axis of `held` pixels to `size`, as a matrix [size, held]."""
    units = Image.fromarray(np.eye(held, dtype=np.float32))
    return np.asarray(units.resize((held, size), Image.Resampling.BOX), np.float64)


JPEG = (25, 18, 15, 10, 7)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)

COMPRESSIONS = (
    Corruption(
        "jpeg_compression",
        compress_jpeg,
        by_hendrycks(JPEG, (65, 58, 50, 40, 25), (80, 65, 58, 50, 40)) | {MNIST_C: rows(JPEG)},
        "quality",
        HENDRYCKS,
    ),
    Corruption(
        "pixelate",
        pixelate,
        by_hendrycks(PIXELATE, (0.9, 0.8, 0.7, 0.6, 0.5), (0.95, 0.9, 0.85, 0.75, 0.65)) | {MNIST_C: rows(PIXELATE)},
        "share of the size",
        HENDRYCKS,
    ),
)
