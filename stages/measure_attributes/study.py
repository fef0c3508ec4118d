"""What is measured and from what: the clean images, the two stores, and the tables of the result."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.attributes.calibration import Scene, measure_scatter, unwrap
from failure_atlas.attributes.errors import state_errors
from failure_atlas.attributes.registry import ATTRIBUTES
from failure_atlas.core.arrays import StoredRows
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.statistics.estimates import flatten, proportion
from stages.common.artefacts.images import read_images


def read_clean(path: Path, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint sets of `count` clean test images each, uint8 [count, C, H, W]: to calibrate, and to check.

    Raises StageError if the store is missing or holds too few.
    """
    images = read_images(require(path, "prepare_images"), "test").images
    if len(images) < 2 * count:
        raise StageError(
            f"{path}: {len(images)} test images; measure_attributes.check_images: got {count}; allowed: at most "
            f"{len(images) // 2}, for as many calibrate as check"
        )
    order = random.permutation(len(images))
    return images[order[:count]], images[order[count : 2 * count]]


def open_images(path: Path, name: str, made_by: str, clean: np.ndarray) -> StoredRows:
    """Images of a store, on disk; StageError if they are missing, or of another form than the clean ones."""
    stored = StoredRows(require(path, made_by), name)
    if stored.shape[1:] != clean.shape[1:]:
        form, needed = (" x ".join(map(str, shape[1:])) for shape in (stored.shape, clean.shape))
        raise StageError(
            f"{path}: images of {form}, the clean ones are of {needed}; make it again with: dvc repro {made_by}"
        )
    return stored


def tabulate_attributes(
    values: np.ndarray, true_class: np.ndarray, spread: np.ndarray, errors: pd.DataFrame
) -> pd.DataFrame:
    """One row per attribute: what it is called, its mean and spread as read of the population, and its error.

    values: [N, M], as read.  spread: [M], the unit of directions, which is stated as `direction_unit`: of blur in px of
    a flank, and no less than the least that anyone sees.  errors: as `measure_errors` returns them.  n: images of the
    population of which it was read.
    """
    chosen = ATTRIBUTES[: len(spread)]
    known = np.isfinite(values)
    count = known.sum(axis=0)
    means = np.where(known, unwrap(values), 0).sum(axis=0) / np.where(count > 0, count, np.nan)
    table = pd.DataFrame(
        [{"attribute": each.name, "unit": each.unit, "more": each.more, "less": each.less} for each in chosen]
    )
    table = table.assign(mean=means, spread=measure_scatter(values, true_class), direction_unit=spread)
    return table.assign(n=count).merge(state_errors(errors).drop(columns="n"), on="attribute", how="left")


def summarize(check: pd.DataFrame, errors: pd.DataFrame, scene: Scene, counts: dict[str, int]) -> dict[str, Any]:
    """What metrics.json holds. Groups of the check share images, so that its interval is on the narrow side.

    check: as `check_naming` returns it.  errors: as `measure_errors` does.  counts: images measured.
    """
    stated = state_errors(errors).to_dict("records")
    return {
        **flatten("naming_accuracy", proportion(check["correct"].to_numpy(bool))),
        "shape_words": scene.shape_words,
        **{
            kind: {row["attribute"]: {"value": row[kind], "n": row["n"]} for row in stated}
            for kind in ("error", "largest_error")
        },
        **counts,
    }
