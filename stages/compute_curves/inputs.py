"""What rank_dimensions left about one classifier, checked against the population."""

from pathlib import Path

import numpy as np

from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from stages.common.artefacts.population import Samples


def read_outcomes(folder: Path, samples: Samples) -> np.ndarray:
    """Whether the classifier is right about each sample: bool [N]; StageError if it saw another population."""
    path = require(folder / "predictions.zarr", "rank_dimensions")
    predicted = read_array(path, "predicted")
    if len(predicted) != len(samples.true_class):
        raise StageError(
            f"{path}: {len(predicted)} predictions for {len(samples.true_class)} samples; "
            "make it again with: dvc repro rank_dimensions"
        )
    return np.asarray(predicted == samples.true_class)
