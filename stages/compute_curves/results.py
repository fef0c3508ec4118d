"""Curves with what they are of, and as tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.curves.curve import Curve, average_curves
from failure_atlas.statistics.bootstrap import Resampling, band_draws
from failure_atlas.statistics.estimates import mean
from failure_atlas.statistics.trend import count_rises


@dataclass(frozen=True)
class Key:
    """What a curve is of, in the words of curves.csv.

    kind: distance | projection | shift.  scope: all, or a class.  dimensions: top | random.  k: a number, or all.
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
    """A curve with its area and slope, each {value, low, high, n}; for random dimensions also min and max.

    ceiling: the judge's accuracy on the same images, with the area under it.  avoidable_area: that under the share of
    images that the judge reads and the classifier does not; unlike the difference of the two areas it cannot be
    negative.  trend_p_value: of the test that the curve falls; rises: see `count_rises`.
    influence: float32 [B, N], what one of the N samples more adds to each point; N is 0 for a shift.
    band: (low, high) [B], which hold the whole curve at once, where low and high of the curve are of each point by
    itself; None for one draw of several, which have it together.
    """

    key: Key
    curve: Curve
    area: dict[str, Any]
    slope: dict[str, Any]
    ceiling: Curve
    ceiling_area: dict[str, Any]
    avoidable_area: dict[str, Any]
    trend_p_value: float
    rises: int
    influence: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None


def pool_draws(key: Key, draws: Sequence[Result], resampling: Resampling) -> Result:
    """One result of several random draws: their means with Student's interval over the draws, and their range.

    resampling: of the samples and the draws, for the band, which is over both.
    The trend's p-value is the median of the draws'; rises are counted in the mean curve, beyond the draws' range.
    """
    curve = average_curves([draw.curve for draw in draws])
    influence = np.mean([draw.influence for draw in draws], axis=0)
    shares = np.stack([draw.curve.accuracy for draw in draws])
    return Result(
        key,
        curve,
        _pool([draw.area for draw in draws]),
        _pool([draw.slope for draw in draws]),
        average_curves([draw.ceiling for draw in draws]),
        _pool([draw.ceiling_area for draw in draws]),
        _pool([draw.avoidable_area for draw in draws]),
        float(np.median([draw.trend_p_value for draw in draws])),
        count_rises(curve),
        influence,
        band_draws(shares, len(draws) * curve.n, influence, resampling),
    )


def tabulate_curves(results: Sequence[Result]) -> pd.DataFrame:
    """One row per point of each curve: low, high of the point by itself, band of the whole curve at once."""
    tables = []
    for result in results:
        table = pd.DataFrame({"point": np.arange(len(result.curve.x)), **asdict(result.curve)})
        for column, name in (("ceiling", "accuracy"), ("ceiling_low", "low"), ("ceiling_high", "high")):
            table[column] = getattr(result.ceiling, name)
        table["band_low"], table["band_high"] = result.band if result.band is not None else (np.nan, np.nan)
        for place, (name, value) in enumerate(asdict(result.key).items()):
            table.insert(place, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def tabulate_areas(results: Sequence[Result]) -> pd.DataFrame:
    """One row per curve: areas and slope with their intervals, and the range over random draws where there are any."""
    rows = [
        asdict(result.key)
        | {
            f"{name}{suffix}": getattr(result, name).get(field, np.nan)
            for name in ("area", "slope", "ceiling_area", "avoidable_area")
            for suffix, field in (("", "value"), ("_low", "low"), ("_high", "high"), ("_min", "min"), ("_max", "max"))
        }
        | {
            "trend_p_value": result.trend_p_value,
            "rises": result.rises,
            "n": int(result.curve.n.max(initial=0)) if result.key.kind == "shift" else int(result.curve.n.sum()),
        }
        for result in results
    ]
    return pd.DataFrame(rows)


def _pool(estimates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    values = np.array([estimate["value"] for estimate in estimates])
    return mean(values) | {"min": float(values.min()), "max": float(values.max())}
