"""What rank_dimensions left about one classifier, and the judge, checked against the population."""

from pathlib import Path

import numpy as np

from stages.common.arrays import read_array
from stages.common.errors import StageError
from stages.common.files import require
from stages.compute_curves.ranking import Order, read_order
from stages.compute_curves.results import ALL
from stages.rank_dimensions.ranking import GLOBAL, read_ranking
from stages.rank_dimensions.samples import Samples


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


def read_orders(folder: Path, samples: Samples) -> dict[str, Order]:
    """The ranking of all samples, under `all`, and of each class in the order of the labels."""
    table = read_ranking(folder)
    dimensions = samples.styles.shape[1]
    scopes = {ALL: GLOBAL} | {name: name for name in samples.class_names}
    return {name: read_order(table, scope, dimensions) for name, scope in scopes.items()}
