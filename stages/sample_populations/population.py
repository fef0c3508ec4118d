"""A population: the same samples as z, w, s, image and label, in memory and in Zarr."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stages.common.arrays import read_array, write_arrays
from stages.train_stylegan2.generator import Generator

DIMENSIONS = {
    "z": ("sample", "latent_z"),
    "w": ("sample", "latent_w"),
    "s": ("sample", "style"),
    "images": ("sample", "channel", "y", "x"),
    "labels": ("sample",),
}


@dataclass(frozen=True)
class Population:
    """z [N, Z], w [N, W], s [N, D] float32; images uint8 [N, C, H, W], rounded; labels int64 [N]."""

    z: np.ndarray
    w: np.ndarray
    s: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def sample_population(
    generator: Generator,
    z: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Population:
    """Follow each latent vector through the generator: z -> w -> s -> image.

    z: [N, Z] float32.  labels: [N] int64.  advance: told the number of samples done after each batch.
    The batch size changes nothing beyond float rounding.  Raises ValueError if N is 0 or the lengths differ.
    """
    if len(z) == 0 or len(z) != len(labels):
        raise ValueError(f"{len(z)} latent vectors and {len(labels)} labels")
    device = next(generator.parameters()).device
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with torch.no_grad():
        for start in range(0, len(z), batch_size):
            rows = slice(start, start + batch_size)
            w = generator.map_latents(torch.from_numpy(z[rows]).to(device), torch.from_numpy(labels[rows]).to(device))
            s = generator.map_styles(w)
            images = generator.synthesize(s).mul(255).round().to(torch.uint8)
            parts.append((w.cpu().numpy(), s.cpu().numpy(), images.cpu().numpy()))
            advance(len(w))
    w_all, s_all, images_all = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Population(z, w_all, s_all, images_all, labels)


def write_population(path: Path, population: Population, class_names: Sequence[str]) -> None:
    """Write a population as one Zarr group with named dimensions; class_names: in the order of the labels."""
    arrays = {name: (getattr(population, name), dimensions) for name, dimensions in DIMENSIONS.items()}
    write_arrays(path, arrays, {"class_names": list(class_names)})


def read_population(path: Path) -> Population:
    """Read a whole population; StageError if it or one of its arrays is missing."""
    return Population(**{name: read_array(path, name) for name in DIMENSIONS})
