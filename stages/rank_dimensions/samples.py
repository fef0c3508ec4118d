"""The population of one analysis, read and checked before any work."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from failure_atlas.statistics.moments import measure_std
from stages.common.arrays import StoredRows, read_array, read_attributes
from stages.common.errors import StageError
from stages.common.files import require
from stages.rank_dimensions.params import LEAST_PER_CLASS
from stages.train_stylegan2.generator import Generator


@dataclass(frozen=True)
class Samples:
    """A population as the analyses use it.

    styles: [N, D] float32 in raw style units.  true_class: [N] int64.  class_names: in the order of the labels.
    """

    styles: np.ndarray
    true_class: np.ndarray
    class_names: list[str]

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


def read_samples(folder: Path, generator: Generator | None = None) -> Samples:
    """Read what an analysis needs of a population from the result folder of sample_populations.

    generator: the one that will paint its styles, if any will.
    Raises StageError if it is missing, was made with another generator, or holds too few samples of a class.
    """
    stored = open_samples(folder, generator)
    return Samples(stored.styles[:], stored.true_class, stored.class_names)


def open_samples(folder: Path, generator: Generator | None = None) -> StoredSamples:
    """As `read_samples`, with styles that stay on disk: memory does not grow with their number."""
    path = require(folder / "population.zarr", "sample_populations")
    styles, true_class = StoredRows(path, "s"), read_array(path, "labels")
    names = read_attributes(path).get("class_names", [])
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
    return StoredSamples(styles, true_class, [str(name) for name in names])
