"""Curves with what they are of, and as tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.common.intervals import mean
from stages.compute_curves.curve import Curve, average_curves

ALL = "all"


@dataclass(frozen=True)
class Key:
    """What a curve is of, in the words of curves.csv.

    kind: distance | shift.  scope: all, or a class.  dimensions: top | random.  k: a number, or all.
    scaling: raw | standardised.  centre: own_class | all, or none for a shift.
    """

    classifier: str
    kind: str
    scope: str
    dimensions: str
    k: str
    scaling: str
    centre: str


@dataclass(frozen=True)
class Result:
    """A curve with its area and slope, each {value, low, high, n}; for random dimensions also min and max."""

    key: Key
    curve: Curve
    area: dict[str, Any]
    slope: dict[str, Any]


def pool_draws(
    key: Key, curves: Sequence[Curve], areas: Sequence[dict[str, Any]], slopes: Sequence[dict[str, Any]]
) -> Result:
    """One result of several random draws: their means with Student's interval over the draws, and their range."""
    return Result(key, average_curves(curves), _pool(areas), _pool(slopes))


def tabulate_curves(results: Sequence[Result]) -> pd.DataFrame:
    """One row per point of each curve."""
    tables = []
    for result in results:
        table = pd.DataFrame({"point": np.arange(len(result.curve.x)), **asdict(result.curve)})
        for place, (name, value) in enumerate(asdict(result.key).items()):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def tabulate_areas(results: Sequence[Result]) -> pd.DataFrame:
    """One row per curve: area and slope with their intervals, and the range over random draws where there are any."""
    rows = [
        asdict(result.key)
        | {
            f"{name}{suffix}": estimate.get(field, np.nan)
            for name, estimate in (("area", result.area), ("slope", result.slope))
            for suffix, field in (("", "value"), ("_low", "low"), ("_high", "high"), ("_min", "min"), ("_max", "max"))
        }
        | {"n": int(result.curve.n.sum()) if result.key.kind == "distance" else int(result.curve.n.max(initial=0))}
        for result in results
    ]
    return pd.DataFrame(rows)


def _pool(estimates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    values = np.array([estimate["value"] for estimate in estimates])
    return mean(values) | {"min": float(values.min()), "max": float(values.max())}
