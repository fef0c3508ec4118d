"""What resampling and chance make of a comparison."""

from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import percentile


def draw_with_replacement(
    count: int, replicates: int, random: np.random.Generator, strata: np.ndarray | None = None
) -> np.ndarray:
    """Indices of bootstrap samples, int64 [R, count]; strata: [count], each drawn among its own, or None."""
    if strata is None:
        return random.integers(0, count, (replicates, count))
    drawn = np.empty((replicates, count), np.int64)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn[:, members] = members[random.integers(0, len(members), (replicates, len(members)))]
    return drawn


def draw_permutations(count: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    """Random orders of `count` things: int64 [R, count]."""
    return random.permuted(np.tile(np.arange(count), (replicates, 1)), axis=1)


def bound(value: float, replicates: np.ndarray, n: int) -> dict[str, Any]:
    """A value with the 95 % interval of its bootstrap replicates, widened to hold it: `{value, low, high, n}`.

    Widened, because what is compared can only lose by resampling: a group that is not drawn is not in common.
    """
    known = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(known) == 0:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": n}
    low, high = percentile(known)
    return {"value": float(value), "low": min(low, float(value)), "high": max(high, float(value)), "n": n}


def describe_chance(value: float, chance: np.ndarray) -> dict[str, Any]:
    """What chance gives, and how often it gives as much as the value: `{value, low, high, n, p_value}`.

    chance: [R] values under the null hypothesis.  value, low, high: its mean and 95 % range.  p_value: one-sided, with
    the observed value counted as one more draw (Davison and Hinkley 1997, 4.3), so never 0.
    """
    known = chance[np.isfinite(chance)]
    if not np.isfinite(value) or len(known) == 0:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0, "p_value": float("nan")}
    low, high = percentile(known)
    # Values of one kind that differ by rounding only are equal.
    reached = int((known >= value - 1e-12).sum())
    return {
        "value": float(known.mean()),
        "low": low,
        "high": high,
        "n": len(known),
        "p_value": (1 + reached) / (1 + len(known)),
    }
