"""Who was right about each moved sample, and the table that holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require, write_csv

WAYS = ("top", "class", "random")
TOP, OWN_CLASS, RANDOM = range(3)
COLUMNS = ("way", "shift_std", "sample", "draw", "dimensions", "classifier_right", "judge_right")


@dataclass(frozen=True)
class Shifted:
    """Who is right after each shift of the same N samples, moved in each of WAYS.

    shifts_std: [T], from 0.  classifier, judge: bool [3, T, N].  draw: int64 [N], the random set that a sample is moved
    along.  dimensions: how many are moved together.
    """

    shifts_std: np.ndarray
    classifier: np.ndarray
    judge: np.ndarray
    draw: np.ndarray
    dimensions: int

    def get_axes(self) -> tuple[np.ndarray, int]:
        """The shifts [T] in std, and the number of samples."""
        return self.shifts_std, len(self.draw)


def write_shifted(folder: Path, shifted: Shifted) -> None:
    """Leave shifts.csv, one row per way, shift and sample of the population."""
    shape = shifted.classifier.shape
    way, step, sample = (axis.ravel() for axis in np.indices(shape))
    table = {
        "way": np.array(WAYS)[way],
        "shift_std": shifted.shifts_std[step],
        "sample": sample,
        "draw": np.broadcast_to(shifted.draw, shape).ravel(),
        "dimensions": shifted.dimensions,
        "classifier_right": shifted.classifier.ravel().astype(int),
        "judge_right": shifted.judge.ravel().astype(int),
    }
    write_csv(folder / "shifts.csv", pd.DataFrame(table, columns=COLUMNS))


def read_shifted(folder: Path) -> Shifted:
    """Read shifts.csv of a result folder; StageError if rows are missing."""
    path = require(folder / "shifts.csv", "shift_samples")
    table = pd.read_csv(path)
    shifts_std, samples = table["shift_std"].unique(), table["sample"].nunique()
    shape = (len(WAYS), len(shifts_std), samples)
    if len(table) != np.prod(shape):
        raise StageError(
            f"{path}: {len(table)} rows; allowed: one for each of {shape[0]} ways, {shape[1]} shifts and {shape[2]} "
            "samples; make it again with: dvc repro shift_samples"
        )
    right = {who: table[f"{who}_right"].to_numpy(bool).reshape(shape) for who in ("classifier", "judge")}
    return Shifted(
        np.asarray(shifts_std, np.float64),
        right["classifier"],
        right["judge"],
        table["draw"].to_numpy(np.int64)[:samples],
        int(table["dimensions"].iloc[0]),
    )


def require_same(shifted: Mapping[str, Shifted]) -> None:
    """StageError unless all classifiers were asked about the same shifts of as many samples."""
    (first, expected), *others = shifted.items()
    for name, each in others:
        if each.classifier.shape != expected.classifier.shape or not np.array_equal(
            each.shifts_std, expected.shifts_std
        ):
            raise StageError(
                f"shifts.csv: '{name}' holds {_tell(each)}, '{first}' {_tell(expected)}; "
                "make them again with: dvc repro shift_samples"
            )


def _tell(shifted: Shifted) -> str:
    return f"{shifted.classifier.shape[2]} samples at shifts of {', '.join(f'{x:g}' for x in shifted.shifts_std)} std"
