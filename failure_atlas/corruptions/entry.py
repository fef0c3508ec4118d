"""What corruptions are made of: a change of one image made one of a batch, and what is drawn for it."""

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np
import torch

Stream = Callable[[int], torch.Generator]  # place of an image in the batch -> the generator of that image


def image_by_image(change: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A change of one image [C, H, W], made one of a batch: (image, generator, *constants) becomes a `change`.

    One image at a time the arithmetic is the same in every batch, to the last bit.
    """

    @wraps(change)
    def lifted(images: np.ndarray, stream: Stream, *constants: float) -> np.ndarray:
        return np.stack([change(image, stream(place), *constants) for place, image in enumerate(images)])

    return lifted


def without_chance(change: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """A change that draws nothing, made a `change`: (images, *constants) becomes (images, stream, *constants)."""

    @wraps(change)
    def lifted(images: np.ndarray, _stream: Stream, *constants: float) -> np.ndarray:
        return change(images, *constants)

    return lifted


def clip_unit(images: np.ndarray) -> np.ndarray:
    """The same values, kept within [0, 1]."""
    return np.asarray(np.clip(images, 0, 1))


def multiply_axes(images: np.ndarray, rows_matrix: np.ndarray, columns_matrix: np.ndarray) -> np.ndarray:
    """rows @ image @ columns^T of each image [..., H, W]; NumPy multiplies a stack matrix by matrix."""
    product: np.ndarray = np.matmul(np.matmul(rows_matrix, images), columns_matrix.T)
    return product


def draw_uniform(generator: torch.Generator, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Float64 numbers of this shape, uniform in [low, high)."""
    drawn: np.ndarray = torch.rand(tuple(shape), generator=generator, dtype=torch.float64).numpy()
    return low + (high - low) * drawn


def draw_normal(generator: torch.Generator, shape: Sequence[int]) -> np.ndarray:
    """Float64 numbers of this shape, of mean 0 and standard deviation 1."""
    drawn: np.ndarray = torch.randn(tuple(shape), generator=generator, dtype=torch.float64).numpy()
    return drawn


def draw_integers(generator: torch.Generator, shape: Sequence[int], low: int, high: int) -> np.ndarray:
    """Int64 numbers of this shape, uniform in low to high - 1."""
    drawn: np.ndarray = torch.randint(low, high, tuple(shape), generator=generator).numpy()
    return drawn


def draw_sign(generator: torch.Generator) -> int:
    """1 or -1 with equal chance."""
    return int(draw_integers(generator, (), 0, 2)) * 2 - 1
