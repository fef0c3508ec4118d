"""The headline numbers of one classifier, out of all its curves."""

from collections.abc import Sequence
from typing import Any

from failure_atlas.statistics.estimates import flatten
from stages.common.artefacts.ranking import ALL
from stages.compute_curves.results import Key, Result

SCALING, CENTRE = "standardised", "own_class"
PREFIXES = {"distance": "", "shift": "shift_", "projection": "projection_"}


def select(results: Sequence[Result], **wanted: str) -> list[Result]:
    """Results whose key has the wanted values."""
    return [result for result in results if all(getattr(result.key, name) == value for name, value in wanted.items())]


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
        metrics |= flatten(f"{prefix}area", top.area) | flatten(f"{prefix}slope_per_std", top.slope)
        metrics |= flatten(f"{prefix}ceiling_area", top.ceiling_area)
        metrics |= flatten(f"{prefix}avoidable_area", top.avoidable_area)
        metrics[f"{prefix}trend_p_value"], metrics[f"{prefix}rises"] = top.trend_p_value, top.rises
        metrics |= flatten(f"random_{prefix}area", random.area)
        metrics |= flatten(f"random_{prefix}slope_per_std", random.slope)
        metrics |= flatten(f"random_{prefix}avoidable_area", random.avoidable_area)
        metrics[f"random_{prefix}area_range"] = [random.area["min"], random.area["max"]]
        classes = [result for result in select(headline, kind=kind, dimensions="top") if result.key.scope != ALL]
        metrics[f"{prefix}area_per_class"] = {result.key.scope: result.area for result in classes}
        metrics[f"{prefix}avoidable_area_per_class"] = {result.key.scope: result.avoidable_area for result in classes}
    return metrics
