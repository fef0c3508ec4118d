"""Differences between methods on the same samples: what is left when the samples' own spread is taken out."""

from typing import Any

import numpy as np

from stages.common.intervals import percentile

REPLICATES = 2000


def draw_resamples(samples: int, random: np.random.Generator) -> np.ndarray:
    """Bootstrap draws that all comparisons share: [REPLICATES, samples] int64."""
    return random.integers(0, samples, (REPLICATES, samples))


def compare_paired(first: np.ndarray, second: np.ndarray, resamples: np.ndarray) -> dict[str, Any]:
    """Mean of first minus second with its 95 % paired bootstrap interval: {value, low, high, n}.

    first, second: [N], of the same samples in the same order; bool counts as 0 or 1. resamples: of `draw_resamples`.
    """
    difference = first.astype(np.float64) - second.astype(np.float64)
    low, high = percentile(difference[resamples].mean(axis=1))
    return {"value": float(difference.mean()), "low": low, "high": high, "n": len(difference)}
