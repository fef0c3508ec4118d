"""Estimates over held-out samples that respect that samples of one random draw were moved alike."""

from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE, mean, proportion


def assign_draws(samples: int, draws: int) -> np.ndarray:
    """The draw that each sample takes part in: int64 [samples], rising; draws are of equal size, within one."""
    return np.arange(samples) * draws // samples


def estimate(values: np.ndarray, draws: int = 1) -> dict[str, Any]:
    """Mean of [N] values with its 95 % interval: {value, low, high, n}; a share, where they are bool.

    draws: runs of samples that were moved alike, of `assign_draws`. Of one draw samples are independent: Wilson's
    interval for shares, Student's for means. Of several, draws are: Student's interval with draws - 1 degrees of
    freedom over what each draw adds to the mean (Cochran 1977, 11.2: clusters), cut to [0, 1] for shares.
    """
    if draws == 1:
        return proportion(values) if values.dtype == bool else mean(values)
    value = float(values.mean())
    deviations = np.bincount(assign_draws(len(values), draws), weights=values - value)
    error = np.sqrt(draws / (draws - 1) * np.square(deviations).sum()) / len(values)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, draws - 1) * error)
    low, high = value - half, value + half
    if values.dtype == bool:
        low, high = max(low, 0.0), min(high, 1.0)
    return {"value": value, "low": low, "high": high, "n": len(values)}
