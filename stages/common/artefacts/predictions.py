"""What a classifier says about each sample of a population, as rank_dimensions leaves it."""

from pathlib import Path

import numpy as np

from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require


def read_logits(folder: Path, samples: int, classes: int) -> np.ndarray:
    """Its logits [N, C] float64, from the result folder of rank_dimensions.

    Raises StageError if they are missing or were made for another population.
    """
    path = require(folder / "predictions.zarr", "rank_dimensions")
    logits = read_array(path, "logits").astype(np.float64)
    if logits.shape != (samples, classes):
        raise StageError(
            f"{path}: outputs for {logits.shape[0]} samples and {logits.shape[1]} classes, the population has "
            f"{samples} and {classes}; make it again with: dvc repro rank_dimensions"
        )
    return logits
