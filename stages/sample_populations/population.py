"""A population: the same samples as z, w, s, image and label, in memory and in Zarr."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from stages.common.arrays import SHARD_ROWS, ArraySpec, read_array, writing_arrays
from stages.sample_populations.latents import balance_labels, draw_latents
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


def sample_in_parts(
    generator: Generator, seed: int, samples: int, *, batch_size: int, advance: Callable[[int], None] = lambda _: None
) -> Iterator[Population]:
    """A class-balanced population of its seed, 10,000 samples at a time, in order."""
    for first in range(0, samples, SHARD_ROWS):
        count = min(SHARD_ROWS, samples - first)
        z = draw_latents(seed, count, generator.z_dim, first)
        labels = balance_labels(first + count, generator.num_classes)[first:]
        yield sample_population(generator, z, labels, batch_size=batch_size, advance=advance)


def store_population(
    path: Path, parts: Iterable[Population], samples: int, class_names: Sequence[str]
) -> Iterator[Population]:
    """Write the parts of a population, in order, as one Zarr group with named dimensions, and pass each on.

    samples: of all parts.  class_names: in the order of the labels. The group is there after the last part.
    """
    rest = iter(parts)
    begin = next(rest)
    arrays = {name: getattr(begin, name) for name in DIMENSIONS}
    specs = {
        name: ArraySpec((samples, *array.shape[1:]), array.dtype, DIMENSIONS[name]) for name, array in arrays.items()
    }
    with writing_arrays(path, specs, {"class_names": list(class_names)}) as targets:
        first = 0
        for part in chain([begin], rest):
            for name, target in targets.items():
                target[first : first + len(part.labels)] = getattr(part, name)
            first += len(part.labels)
            yield part


def read_population(path: Path) -> Population:
    """Read a whole population; StageError if it or one of its arrays is missing."""
    return Population(**{name: read_array(path, name) for name in DIMENSIONS})
