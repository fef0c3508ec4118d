"""Differences between methods on the same samples: what is left when the samples' own spread is taken out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import percentile
from stages.compare_rankings.draws import estimate

REPLICATES = 2000


def draw_resamples(samples: int, random: np.random.Generator) -> np.ndarray:
    """Bootstrap draws that all comparisons share: [REPLICATES, samples] int64."""
    return random.integers(0, samples, (REPLICATES, samples))


def compare_paired(first: np.ndarray, second: np.ndarray, resamples: np.ndarray, draws: int = 1) -> dict[str, Any]:
    """Mean of first minus second with its 95 % paired bootstrap interval: {value, low, high, n}.

    first, second: [N], of the same samples in the same order; bool counts as 0 or 1. resamples: of `draw_resamples`.
    draws: of the first; of several, the interval is that of `estimate` over draws.
    """
    difference = first.astype(np.float64) - second.astype(np.float64)
    if draws > 1:
        return estimate(difference, draws)
    low, high = percentile(difference[resamples].mean(axis=1))
    return {"value": float(difference.mean()), "low": low, "high": high, "n": len(difference)}


def judge_no_worse(difference: Mapping[str, Any], margin: float) -> str:
    """Whether a ranking is no worse than another by more than a margin (non-inferiority): holds, fails, not decided.

    difference: {low, high} of the accuracies left by the first and by the second; the lower one finds more. `holds` if
    the whole interval lies at or below the margin, `fails` if all of it lies above.
    """
    return "holds" if difference["high"] <= margin else "fails" if difference["low"] > margin else "not decided"
