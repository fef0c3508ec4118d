"""What the stages upstream measured, read by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.check_claims.estimates import Estimate
from stages.common.errors import StageError
from stages.common.files import require

AREA_COLUMNS = (
    *("classifier", "kind", "scope", "dimensions", "k", "scaling", "centre"),
    *("area", "area_low", "area_high", "trend_p_value", "rises", "n"),
)


@dataclass(frozen=True)
class Metrics:
    """The metrics.json of one stage; name: as evidence calls it, such as `rank_dimensions/clean`."""

    name: str
    path: Path
    stage: str
    content: Mapping[str, Any]

    def number(self, key: str) -> float:
        """A plain number; key: names joined by dots.  NaN where the stage knew none; StageError where it is absent."""
        value = self._find(key)
        if value is None:
            return float("nan")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise StageError(f"{self.path}: '{key}' is no number; {self._again()}")
        return float(value)

    def estimate(self, key: str) -> Estimate:
        """A number with its interval, kept as {value, low, high, n} or as `key` and `key_interval`."""
        held = self._find(key)
        parts = dict(held) if isinstance(held, dict) else self._find(f"{key}_interval") | {"value": held}
        missing = {"value", "low", "high", "n"} - parts.keys()
        if missing:
            raise StageError(f"{self.path}: '{key}' has no {', '.join(sorted(missing))}; {self._again()}")
        value, low, high = (float("nan") if parts[name] is None else parts[name] for name in ("value", "low", "high"))
        return Estimate(value, low, high, parts["n"])

    def _find(self, key: str) -> Any:
        group, name = find_group(self.content, key)
        if name not in group:
            raise StageError(f"{self.path}: holds no '{key}'; {self._again()}")
        return group[name]

    def _again(self) -> str:
        return f"make it again with: dvc repro {self.stage}"


def find_group(content: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], str]:
    """The innermost group that a key leads to, and what is left of the key; key: names joined by dots.

    A name may hold dots itself, as that of a class may. What is left is no name of the group where the way ends early.
    """
    ends = content, key
    for name, inner in content.items():
        if key.startswith(f"{name}.") and isinstance(inner, dict):
            group, rest = find_group(inner, key[len(name) + 1 :])
            if rest in group:
                return group, rest
            ends = group, rest
    return ends


@dataclass(frozen=True)
class Sources:
    """All that claims are checked on; ranked, walks and classifiers: by the classifier's name."""

    curves: Metrics
    areas: pd.DataFrame
    populations: Metrics
    ranked: Mapping[str, Metrics]
    walks: Mapping[str, Metrics]
    classifiers: Mapping[str, Metrics]

    def find_distance_curve(self, classifier: str, k: str, centre: str) -> pd.Series | None:
        """The row of areas.csv of the standardised curve along top dimensions, if it was computed."""
        wanted = {
            "classifier": classifier, "kind": "distance", "scope": "all", "dimensions": "top", "k": k,
            "scaling": "standardised", "centre": centre,
        }  # fmt: skip
        chosen = np.logical_and.reduce([self.areas[column] == value for column, value in wanted.items()])
        return self.areas[chosen].iloc[0] if chosen.any() else None


def read_metrics(folder: Path, stage: str, classifier: str = "") -> Metrics:
    """Read a result folder's metrics.json; StageError that names file and stage if it is missing or damaged."""
    path = require(folder / "metrics.json", stage)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: no JSON ({error}); make it again with: dvc repro {stage}") from error
    if not isinstance(content, dict):
        raise StageError(f"{path}: holds no metrics by name; make it again with: dvc repro {stage}")
    return Metrics(f"{stage}/{classifier}" if classifier else stage, path, stage, content)


def read_areas(folder: Path) -> pd.DataFrame:
    """Read areas.csv of compute_curves; StageError if it is missing or of another form."""
    path = require(folder / "areas.csv", "compute_curves")
    table = pd.read_csv(path, dtype={"k": str, "scope": str, "classifier": str})
    missing = [column for column in AREA_COLUMNS if column not in table]
    if missing:
        raise StageError(f"{path}: no column {', '.join(missing)}; make it again with: dvc repro compute_curves")
    return table
