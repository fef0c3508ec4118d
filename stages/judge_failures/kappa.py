"""How far two raters agree beyond chance."""

from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from failure_atlas.statistics.estimates import percentile

RESAMPLES = 400


def measure_kappa(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Cohen's kappa (1960) with its 95 % percentile bootstrap interval: `{value, low, high, n}`.

    first, second: [N], what each says about the same images.  1 is agreement, 0 what chance gives.
    NaN where it is undefined, because both always say one and the same word, or N is 0; resamples in which that happens
    are left out of the interval.
    """
    n = len(first)
    draws = (random.integers(0, n, n) for _ in range(RESAMPLES if n else 0))
    replicates = np.array([_kappa(first[draw], second[draw]) for draw in draws])
    replicates = replicates[~np.isnan(replicates)]
    low, high = percentile(replicates) if replicates.size else (float("nan"), float("nan"))
    return {"value": _kappa(first, second), "low": low, "high": high, "n": n}


def _kappa(first: np.ndarray, second: np.ndarray) -> float:
    if len(np.union1d(first, second)) < 2:
        return float("nan")
    return float(cohen_kappa_score(first, second))
