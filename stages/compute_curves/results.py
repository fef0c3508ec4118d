"""Curves, areas, shifted samples and differences as tables, and the headline numbers of each classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.curves.paired import COLUMNS, Difference, compare_outcomes
from failure_atlas.curves.shift import ALL, WAYS, Shifted
from failure_atlas.curves.study import Key, Result, select
from failure_atlas.statistics.estimates import flatten, proportion

SCALING, CENTRE = "standardised", "own_class"
PREFIXES = {"distance": "", "shift": "shift_", "projection": "projection_"}
ESTIMATES = ("area", "slope", "ceiling_area", "avoidable_area")
FIELDS = {"": "value", "_low": "low", "_high": "high", "_min": "min", "_max": "max"}


def tabulate_curves(results: Sequence[Result]) -> pd.DataFrame:
    """One row per point of each curve: low, high of the point by itself, band of the whole curve at once."""
    tables = []
    for result in results:
        low, high = result.band if result.band is not None else (np.nan, np.nan)
        names = {"ceiling": "accuracy", "ceiling_low": "low", "ceiling_high": "high"}
        columns = {column: getattr(result.ceiling, name) for column, name in names.items()}
        columns = asdict(result.curve) | columns | {"band_low": low, "band_high": high}
        tables.append(pd.DataFrame({**asdict(result.key), "point": np.arange(len(result.curve.x)), **columns}))
    return pd.concat(tables, ignore_index=True)


def tabulate_areas(results: Sequence[Result]) -> pd.DataFrame:
    """One row per curve: areas and slope with their intervals, and the range over random draws where there are any.

    rise_from, rise_to: the accuracies between which it rises most surely.
    """
    rows = []
    for result in results:
        estimates = {
            f"{name}{suffix}": getattr(result, name).get(field, np.nan)
            for name in ESTIMATES
            for suffix, field in FIELDS.items()
        }
        # The points of a shift hold the same samples, those of the other curves different ones.
        n = int(result.curve.n.max(initial=0) if result.key.kind == "shift" else result.curve.n.sum())
        rise = {"rise_from": result.rise.before, "rise_to": result.rise.after, "rise_p_value": result.rise.p_value}
        rows.append(asdict(result.key) | estimates | {"trend_p_value": result.trend_p_value, **rise, "n": n})
    return pd.DataFrame(rows)


def tabulate_shifts(shifted: Mapping[str, Shifted]) -> pd.DataFrame:
    """Who is right about each moved sample: one row per classifier, way, shift and sample of the population."""
    tables = []
    for name, each in shifted.items():
        shape = each.classifier.shape
        way, step, sample = (axis.ravel() for axis in np.indices(shape))
        columns = {
            "classifier": name,
            "way": np.array(WAYS)[way],
            "shift_std": each.shifts_std[step],
            "sample": sample,
            "draw": np.broadcast_to(each.draw, shape).ravel(),
            "dimensions": each.dimensions,
            "classifier_right": each.classifier.ravel().astype(int),
            "judge_right": each.judge.ravel().astype(int),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def tabulate_differences(differences: Sequence[Difference]) -> pd.DataFrame:
    """One row per point: pair, kind, and COLUMNS."""
    if not differences:
        return pd.DataFrame(columns=["pair", "kind", *COLUMNS])
    tables = [each.points.assign(pair=each.name, kind=each.kind) for each in differences]
    return pd.concat(tables, ignore_index=True)[["pair", "kind", *COLUMNS]]


def is_headline(key: Key, headline_k: int) -> bool:
    """Shifts all are; of the others those in K standardised dimensions from the centre of the sample's own class."""
    return key.kind == "shift" or (key.k, key.scaling, key.centre) == (str(headline_k), SCALING, CENTRE)


def summarize_curves(results: Sequence[Result], headline_k: int) -> dict[str, Any]:
    """Areas, slope per std and trend of the headline curves, by distance, shift and projection, top and random.

    Intervals of random dimensions are Student's over the draws, n their number; `_range` is [lowest, highest] draw.
    """
    headline = [result for result in results if is_headline(result.key, headline_k)]
    metrics: dict[str, Any] = {"headline_k": headline_k}
    for kind, prefix in PREFIXES.items():
        (top,) = select(headline, kind=kind, scope=ALL, dimensions="top")
        (random,) = select(headline, kind=kind, scope=ALL, dimensions="random")
        for name in ESTIMATES:
            key = f"{prefix}slope_per_std" if name == "slope" else f"{prefix}{name}"
            metrics |= flatten(key, getattr(top, name))
            if name != "ceiling_area":
                metrics |= flatten(f"random_{key}", getattr(random, name))
        metrics[f"{prefix}trend_p_value"], metrics[f"{prefix}rise_p_value"] = top.trend_p_value, top.rise.p_value
        metrics[f"random_{prefix}area_range"] = [random.area["min"], random.area["max"]]
        classes = [result for result in select(headline, kind=kind, dimensions="top") if result.key.scope != ALL]
        metrics[f"{prefix}area_per_class"] = {result.key.scope: result.area for result in classes}
        metrics[f"{prefix}avoidable_area_per_class"] = {result.key.scope: result.avoidable_area for result in classes}
    return metrics


def summarize_classifier(
    results: Sequence[Result], headline_k: int, well: np.ndarray, judged: np.ndarray
) -> dict[str, Any]:
    """All headline numbers of one classifier; well, judged: bool [N], who is right about the samples as they are."""
    shares = {"accuracy": well, "ceiling": judged, "avoidable_share": judged & ~well}
    return summarize_curves(results, headline_k) | {name: proportion(share) for name, share in shares.items()}


def tell_areas(metrics: Mapping[str, Any]) -> str:
    """The areas of one classifier in one line for the log."""
    by_distance, by_shift = (
        "area by {} {:.3f} (judge {:.3f}, random dimensions {:.3f})".format(
            kind, *(metrics[key] for key in (f"{prefix}area", f"{prefix}ceiling_area", f"random_{prefix}area"))
        )
        for kind, prefix in (("distance", ""), ("shift", "shift_"))
    )
    return f"accuracy {metrics['accuracy']['value']:.3f}, {by_distance}, {by_shift}"


def summarize_differences(differences: Sequence[Difference], real: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Of each pair, `area` between the curves by distance, `shift_area` by shift, and `corrupted_test_accuracy`.

    real: by classifier bool [N], who is right about the real corrupted test images.
    """
    summary: dict[str, dict[str, Any]] = {
        f"{second}_minus_{first}": {"corrupted_test_accuracy": compare_outcomes(real[first], real[second])}
        for first, second in combinations(real, 2)
    }
    for each in differences:
        summary[each.name][f"{PREFIXES[each.kind]}area"] = each.area
    return summary
