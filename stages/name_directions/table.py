"""The directions as a table: one row for each place in a ranking."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.directions.measurements import MEASUREMENTS, NAMES
from failure_atlas.directions.naming import NO_REACH, Effects, Name, standardise
from failure_atlas.statistics.estimates import mean

COPIED = ["scope", "rank", "dimension", "layer", "kind", "direction"]


def describe_direction(
    ranked: Any,
    name: Name,
    reach: str,
    effects: Effects,
    levels: Effects,
    pixel_change: np.ndarray,
    spread: np.ndarray,
) -> dict[str, Any]:
    """One row of directions.csv.

    ranked: the row of the ranking.  effects: of the measurements per std.  levels: of the noise and blur that real
    images would need, per std.  pixel_change: [n].  spread: [M]. The columns of measurements are in units of spread.
    """
    row: dict[str, Any] = {column: getattr(ranked, column) for column in COPIED}
    row |= {"name": name.first, "second_name": name.second, "reach": reach if name.measurement >= 0 else NO_REACH}
    for index, column in enumerate(("noise_sigma_per_std", "blur_sigma_per_std")):
        row |= {
            column: levels.mean[index],
            f"{column}_low": levels.low[index],
            f"{column}_high": levels.high[index],
        }
    pixels = mean(pixel_change)
    row |= {
        "pixel_change_per_std": pixels["value"],
        "pixel_change_per_std_low": pixels["low"],
        "pixel_change_per_std_high": pixels["high"],
    }
    parts = [standardise(values, spread) for values in (effects.mean, effects.low, effects.high)]
    for column, value, low, high in zip(NAMES[: len(spread)], *parts, strict=True):
        row |= {column: value, f"{column}_low": low, f"{column}_high": high}
    return row | {"n": effects.n}


def tabulate_spread(spread: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """The units of the table: per measurement its unit, its mean and its spread within the classes; values: [N, M]."""
    known, measured = np.isfinite(values).all(axis=1), MEASUREMENTS[: len(spread)]
    return pd.DataFrame(
        {
            "measurement": [measurement.name for measurement in measured],
            "unit": [measurement.unit for measurement in measured],
            "more": [measurement.more for measurement in measured],
            "less": [measurement.less for measurement in measured],
            "mean": values[known].mean(axis=0) if known.any() else np.nan,
            "spread": spread,
            "n": int(known.sum()),
        }
    )
