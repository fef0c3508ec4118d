"""What the registry holds of one corruption, and how a corruption draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps

import numpy as np
import torch

IMAGENET_C, TINY_IMAGENET_C, CIFAR_C, MNIST_C = "imagenet-c", "tiny-imagenet-c", "cifar-c", "mnist-c"
OWN = "own"  # of this project, where no cited table has severities
SEVERITIES = 5

HENDRYCKS = "Hendrycks and Dietterich 2019, hendrycks/robustness, ImageNet-C/create_c"
MU = "Mu and Gilmer 2019, google-research/mnist-c, corruptions.py"

Stream = Callable[[int], torch.Generator]  # place of an image in the batch -> the generator of that image
Constants = tuple[float, ...]
Rows = tuple[Constants, ...]


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption, with its strength at severity 1 to 5.

    name: as in the recipe.  change: (images, stream, *constants) -> images, float64 [N, C, H, W] in [0, 1] to the same;
    what it does to an image depends on nothing but that image, the constants and its generator.
    tables: table -> the constants of each severity.  unit: what the constants are.  source: where they were read.
    key: the name in stores, metrics and streams.  channels: what an image may have.
    """

    name: str
    change: Callable[..., np.ndarray]
    tables: Mapping[str, Rows]
    unit: str
    source: str
    key: str = ""
    channels: tuple[int, ...] = (1, 3)

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)
        for table, rows in self.tables.items():
            if len(rows) != SEVERITIES:
                raise ValueError(f"{self.name}: table {table} has {len(rows)} rows; needed: {SEVERITIES}")


def by_hendrycks(imagenet: Sequence[object], tiny: Sequence[object], cifar: Sequence[object]) -> dict[str, Rows]:
    """The three tables of Hendrycks and Dietterich: for 224 px, 64 px and 32 px."""
    return {IMAGENET_C: rows(imagenet), TINY_IMAGENET_C: rows(tiny), CIFAR_C: rows(cifar)}


def rows(constants: Sequence[object]) -> Rows:
    """One tuple per severity; a single constant stands for a tuple of one."""
    return tuple(tuple(row) if isinstance(row, (tuple, list)) else (row,) for row in constants)


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
