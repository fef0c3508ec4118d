"""A population in Zarr, z, w, s, image and label, its writer and its reader; and what each style dimension is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.arrays import ArraySpec, StoredRows, read_array, read_attributes, writing_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.populations.sampling import LEAST_PER_CLASS, Population
from failure_atlas.statistics.moments import measure_std
from failure_atlas.stylegan2.generator import Generator, StyleLayer
from failure_atlas.stylegan2.noise import CONSTANT


@dataclass(frozen=True)
class Samples:
    """A population as the analyses use it.

    styles: [N, D] float32 in raw style units.  true_class: [N] int64.  class_names: in the order of the labels.
    noise: int64 [N], the seed of each sample's noise.  mean_noise: int64 [draws, classes], those of class means.
    """

    styles: np.ndarray
    true_class: np.ndarray
    class_names: list[str]
    noise: np.ndarray
    mean_noise: np.ndarray

    @property
    def constant_noise(self) -> bool:
        """Whether all samples have the generator's own noise."""
        return bool((self.noise == CONSTANT).all())

    @cached_property
    def std(self) -> np.ndarray:
        """Of each style dimension over all samples, [D] float64, with n - 1."""
        return measure_std(self.styles)


@dataclass(frozen=True)
class StoredSamples:
    """The same, the styles being read from disk where they are asked for."""

    styles: StoredRows
    true_class: np.ndarray
    class_names: list[str]
    noise: np.ndarray
    mean_noise: np.ndarray


def read_samples(folder: Path, generator: Generator | None = None) -> Samples:
    """Read what an analysis needs of a population from the result folder of sample_populations.

    generator: the one that will paint its styles, if any will.
    Raises StageError if it is missing, holds no noise, was made with another generator, or has too few samples of a
    class.
    """
    stored = open_samples(folder, generator)
    return Samples(stored.styles[:], stored.true_class, stored.class_names, stored.noise, stored.mean_noise)


def open_samples(folder: Path, generator: Generator | None = None) -> StoredSamples:
    """As `read_samples`, with styles that stay on disk: memory does not grow with their number."""
    path = require(folder / "population.zarr", "sample_populations")
    held = read_attributes(path)
    if MEAN_NOISE not in held or not (path / "noise").exists():
        raise StageError(f"{path}: holds no noise of its samples; make it again with: dvc repro sample_populations")
    styles, true_class, noise = StoredRows(path, "s"), read_array(path, "labels"), read_array(path, "noise")
    names = held.get("class_names", [])
    if generator and (styles.shape[1] != generator.style_dimensions or len(names) != generator.num_classes):
        raise StageError(
            f"{path}: {styles.shape[1]} style dimensions and {len(names)} classes, the generator has "
            f"{generator.style_dimensions} and {generator.num_classes}; "
            "make it again with: dvc repro sample_populations"
        )
    count = np.bincount(true_class, minlength=len(names))
    if count.min() < LEAST_PER_CLASS:
        raise StageError(
            f"{path}: {count.min()} samples of class {names[int(count.argmin())]}; at least {LEAST_PER_CLASS} of each "
            "are needed; raise sample_populations.samples"
        )
    mean_noise = np.array(held[MEAN_NOISE], np.int64)
    return StoredSamples(styles, true_class, [str(name) for name in names], noise, mean_noise)


MEAN_NOISE = "mean_noise"
DIMENSIONS = {
    "z": ("sample", "latent_z"),
    "noise": ("sample",),
    "w": ("sample", "latent_w"),
    "s": ("sample", "style"),
    "images": ("sample", "channel", "y", "x"),
    "labels": ("sample",),
}


def store_population(
    path: Path, parts: Iterable[Population], samples: int, class_names: Sequence[str], mean_noise: np.ndarray
) -> Iterator[Population]:
    """Write the parts of a population, in order, as one Zarr group with named dimensions, and pass each on.

    samples: of all parts.  class_names: in the order of the labels.  mean_noise: see `Samples`. The group is there
    after the last part.
    """
    rest = iter(parts)
    begin = next(rest)
    arrays = {name: getattr(begin, name) for name in DIMENSIONS}
    specs = {
        name: ArraySpec((samples, *array.shape[1:]), array.dtype, DIMENSIONS[name]) for name, array in arrays.items()
    }
    told = {"class_names": list(class_names), MEAN_NOISE: mean_noise.tolist()}
    with writing_arrays(path, specs, told) as targets:
        first = 0
        for part in chain([begin], rest):
            for name, target in targets.items():
                target[first : first + len(part.labels)] = getattr(part, name)
            first += len(part.labels)
            yield part


COLUMNS = ("dimension", "layer", "channel", "resolution_px", "kind")


def tabulate_styles(layout: Sequence[StyleLayer]) -> pd.DataFrame:
    """One row per style dimension, in the order of s; kind is that of `StyleLayer`."""
    rows = [
        (layer.offset + channel, layer.name, channel, layer.resolution_px or None, layer.kind)
        for layer in layout
        for channel in range(layer.channels)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
