"""The population of one analysis, read and checked before any work."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.common.arrays import read_array, read_attributes
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


def read_samples(folder: Path, generator: Generator | None = None) -> Samples:
    """Read what an analysis needs of a population from the result folder of sample_populations.

    generator: the one that will paint its styles, if any will.
    Raises StageError if it is missing, was made with another generator, or holds too few samples of a class.
    """
    path = require(folder / "population.zarr", "sample_populations")
    styles, true_class = read_array(path, "s"), read_array(path, "labels")
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
    return Samples(styles, true_class, [str(name) for name in names])
