"""What the rooms upstream left, read and checked before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, load_judge
from failure_atlas.stylegan2.discriminator import Discriminator
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.state import load_discriminator
from stages.common.artefacts.images import read_class_names, read_images
from stages.judge_failures.claims import CORNER_CASE, SEARCH, WALK_COLUMNS, Claims

MADE_BY = "walk_corner_cases"


@dataclass(frozen=True)
class Outcomes:
    """softmax: [N, C] float64, the classifier's.  predicted: [N] int64, its most probable class."""

    softmax: np.ndarray
    predicted: np.ndarray


def read_outcomes(folder: Path, samples: int, class_names: Sequence[str]) -> Outcomes:
    """What the classifier said about each population sample, from the result folder of rank_dimensions.

    Raises StageError if it is missing or was made for another population.
    """
    path = require(folder / "predictions.zarr", "rank_dimensions")
    logits, predicted = read_array(path, "logits").astype(np.float64), read_array(path, "predicted")
    if logits.shape != (samples, len(class_names)):
        raise StageError(
            f"{path}: outputs for {logits.shape[0]} samples and {logits.shape[1]} classes, the population has "
            f"{samples} and {len(class_names)}; make it again with: dvc repro rank_dimensions"
        )
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Outcomes(odds / odds.sum(axis=1, keepdims=True), predicted)


def read_style_use(folder: Path, dimensions: int) -> np.ndarray:
    """Which style dimensions change the image, [D] bool, from the result folder of sample_populations.

    Raises StageError if the table is missing, has no such column, or describes another generator.
    """
    path = require(folder / "style_dimensions.csv", "sample_populations")
    table = pd.read_csv(path)
    if "dead" not in table or len(table) != dimensions:
        held = f"{len(table)} dimensions" + ("" if "dead" in table else " and no column 'dead'")
        raise StageError(
            f"{path}: holds {held}, needed: {dimensions} with it; make it again with: dvc repro sample_populations"
        )
    return np.asarray(~table["dead"].to_numpy(bool))


def read_walk_table(folder: Path) -> pd.DataFrame:
    """corner_cases.csv of a result folder of walk_corner_cases; classes, layers and names are text."""
    path = require(folder / "corner_cases.csv", MADE_BY)
    table = pd.read_csv(path, dtype=dict.fromkeys(("class", "start", "layer", "kind", "name"), str))
    missing = [name for name in ("class", "layer", "kind", "reached", *WALK_COLUMNS) if name not in table]
    if missing:
        raise StageError(f"{path}: lacks the columns {', '.join(missing)}; make it again with: dvc repro {MADE_BY}")
    return table


def read_corner_cases(folder: Path, walks: pd.DataFrame, dimensions: int, class_names: Sequence[str]) -> Claims:
    """The walks that reached 0.50, each where it crossed; index: the row of corner_cases.csv."""
    path = require(folder / "corner_cases.zarr", MADE_BY)
    _check_store(path, dimensions, class_names)
    reached = np.flatnonzero(read_array(path, "reached"))
    styles = read_array(path, "s")
    if len(styles) != len(walks):
        raise StageError(
            f"{path}: {len(styles)} walks, {folder / 'corner_cases.csv'} has {len(walks)}; make both again with: "
            f"dvc repro {MADE_BY}"
        )
    return Claims(
        CORNER_CASE,
        reached,
        styles[reached],
        read_array(path, "images")[reached],
        read_array(path, "labels")[reached],
        _walks_of(walks.iloc[reached]),
    )


def read_true_failures(folder: Path, walks: pd.DataFrame, dimensions: int, class_names: Sequence[str]) -> Claims:
    """The true failures that the search found; index: the row of true_failures.zarr.

    shift_std is that of the true failure, which lies at the 0.50 crossing of its walk or beyond it.
    """
    path = require(folder / "true_failures.zarr", MADE_BY)
    _check_store(path, dimensions, class_names)
    rows = read_array(path, "corner_case")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(walks):
        raise StageError(
            f"{path}: names row {rows.max()} of corner_cases.csv, which has {len(walks)}; make both again with: "
            f"dvc repro {MADE_BY}"
        )
    walked = _walks_of(walks.iloc[rows])
    if "true_failure_shift_std" in walks:
        walked["shift_std"] = walks["true_failure_shift_std"].iloc[rows].astype("Float64").to_numpy()
    return Claims(
        SEARCH,
        np.arange(len(rows)),
        read_array(path, "s"),
        read_array(path, "images"),
        read_array(path, "labels"),
        walked,
    )


def load_judges(
    judge: Path, auditor: Path, class_names: Sequence[str], device: torch.device
) -> tuple[Ensemble, Ensemble]:
    """The judge and the auditor; StageError if they are one and the same, or know other classes."""
    ensembles = load_judge(judge, class_names, device), load_judge(auditor, class_names, device)
    if judge.read_bytes() == auditor.read_bytes():
        raise StageError(f"{auditor}: the auditor is the judge itself; it confirms nothing unless it is another one")
    return ensembles


def load_critic(snapshot: Path, generator: Generator, device: torch.device) -> Discriminator:
    """The discriminator of a snapshot; StageError if it was not trained on images such as the generator makes."""
    critic = load_discriminator(snapshot, device)
    seen, made = critic.architecture, generator.architecture
    held = (seen.num_classes, seen.image_channels, 2 << len(seen.channels))
    needed = (made.num_classes, made.image_channels, made.size_px)
    if held != needed:
        raise StageError(
            f"{snapshot}: its discriminator knows {held[0]} classes and images of {held[1]} channels and {held[2]} px, "
            f"the generator makes {needed[0]}, {needed[1]} and {needed[2]}; use the snapshot of the same training"
        )
    return critic


def read_test_images(path: Path, class_names: Sequence[str]) -> ImageSet:
    """The real test images; StageError if they are of other classes."""
    names = read_class_names(require(path, "corrupt_images"))
    if names != list(class_names):
        raise StageError(
            f"{path}: shows the classes {', '.join(names)}; the population has {', '.join(class_names)}; use the "
            "images that the generator learned from"
        )
    return read_images(path, "test")


def _check_store(path: Path, dimensions: int, class_names: Sequence[str]) -> None:
    held, names = read_array(path, "s").shape[1], read_attributes(path).get("class_names", [])
    if held != dimensions or list(names) != list(class_names):
        raise StageError(
            f"{path}: {held} style dimensions and the classes {', '.join(map(str, names))}, the generator has "
            f"{dimensions} and the population {', '.join(class_names)}; make it again with: dvc repro {MADE_BY}"
        )


def _walks_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(WALK_COLUMNS)].astype(WALK_COLUMNS).reset_index(drop=True)
