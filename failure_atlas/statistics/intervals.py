"""Confidence intervals, so that no number is reported without its uncertainty."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


def wilson(successes: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % Wilson score interval of a proportion, elementwise (Wilson 1927).

    successes, n: same shape. Returns (low, high); NaN where n is 0.
    """
    successes, n = np.asarray(successes, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = successes / n
        centre = p + _Z**2 / (2 * n)
        half = _Z * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        scale = 1 + _Z**2 / n
        low, high = (centre - half) / scale, (centre + half) / scale
    # At the edges one bound is exactly 0 or 1; rounding must carry it neither past them nor short of them.
    low = np.where((successes == 0) & (n > 0), 0.0, np.clip(low, 0, 1))
    high = np.where((successes == n) & (n > 0), 1.0, np.clip(high, 0, 1))
    return low, high


def proportion(correct: np.ndarray) -> dict[str, Any]:
    """Share of true entries with its Wilson interval: `{value, low, high, n}`."""
    n = int(np.size(correct))
    successes = int(np.count_nonzero(correct))
    low, high = wilson(np.array(successes), np.array(n))
    return {"value": successes / n if n else float("nan"), "low": float(low), "high": float(high), "n": n}


def mean(values: np.ndarray, n: int | None = None) -> dict[str, Any]:
    """Mean of independent repeats with its 95 % Student interval: `{value, low, high, n}`.

    n: the sample count to state, where it is not the number of repeats.
    """
    values = np.asarray(values, float)
    centre = float(values.mean())
    half = float("nan")
    if values.size > 1:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, values.size - 1) * stats.sem(values))
    return {"value": centre, "low": centre - half, "high": centre + half, "n": n if n is not None else values.size}


def decide(estimate: Mapping[str, Any], bar: float) -> str:
    """Whether something reaches a bar: `holds` if its whole interval does, `fails` if none of it, else `not decided`.

    estimate: with `low` and `high`; NaN, where nothing is known, decides nothing.
    """
    return "holds" if estimate["low"] >= bar else "fails" if estimate["high"] < bar else "not decided"


def percentile(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates."""
    low, high = np.quantile(values, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def flatten(name: str, estimate: dict[str, Any]) -> dict[str, Any]:
    """An estimate `{value, low, high, n}` as two metrics: `name`, a plain number, and `name_interval` with the rest."""
    return {name: estimate["value"], f"{name}_interval": {key: estimate[key] for key in ("low", "high", "n")}}
