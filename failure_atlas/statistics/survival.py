"""Distances to failure of which some are only known to lie beyond where a walk gave up (Kaplan, Meier 1958)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.estimates import CONFIDENCE, NAN, proportion

ROUNDING = 1e-9  # of a share that is a product of many


@dataclass(frozen=True)
class Survival:
    """Share that lies beyond each distance, a step function that falls at `distance`.

    distance: [K], rising, from 0.  share, low, high: [K], from that distance on, with the 95 % interval (log-log;
    Kalbfleisch, Prentice 2002).  at_risk: [K], how many were still followed up to there.  n: number of distances.
    """

    distance: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    n: int


def estimate_survival(distance: np.ndarray, reached: np.ndarray) -> Survival:
    """Kaplan-Meier estimate.

    distance: [N], not negative.  reached: [N] bool, false where the distance is only known to be longer.
    It holds if walks that gave up would have gone on like those still under way, which nothing guarantees.
    The interval is [1, 1] before the first fall; where the share is 0 its upper bound is the last one known.
    """
    if len(distance) == 0:
        nothing = np.zeros(0)
        return Survival(nothing, nothing, nothing, nothing, np.zeros(0, np.int64), 0)
    estimate = stats.ecdf(stats.CensoredData(uncensored=distance[reached], right=distance[~reached])).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        bounds = estimate.confidence_interval(CONFIDENCE, method="log-log")
    at, share = np.asarray(estimate.quantiles, float), np.asarray(estimate.probabilities, float)
    low, high = bounds.low.probabilities.copy(), bounds.high.probabilities.copy()
    at_risk = np.array([np.count_nonzero(distance >= value) for value in at], np.int64)
    low[share == 1] = high[share == 1] = 1
    known = high[(share > 0) & (share < 1)]
    low[share == 0], high[share == 0] = 0, known[-1] if known.size else 1
    if at[0] > 0:
        at, at_risk = np.r_[0, at], np.r_[len(distance), at_risk]
        share, low, high = (np.r_[1, values] for values in (share, low, high))
    return Survival(at, share, low, high, at_risk, len(distance))


def share_within(
    distance: np.ndarray, reached: np.ndarray, limits: Sequence[int], farthest: float
) -> dict[int, dict[str, Any]]:
    """Share of all that were reached within each limit, `{value, low, high, n}`; NaN farther out than was tried."""
    unknown = {"value": NAN, "low": NAN, "high": NAN}
    return {
        limit: proportion(reached & (distance <= limit)) | (unknown if limit > farthest else {}) for limit in limits
    }


def find_median(distance: np.ndarray, reached: np.ndarray) -> dict[str, Any]:
    """Distance beyond which half lie, `{value, low, high, n}`; infinite where it is beyond what was followed.

    distance, reached: as in `estimate_survival`. Where the share is one half between two distances it is their mean,
    as the median of an even number is. The interval holds the distances at which one half lies inside the band
    (Brookmeyer, Crowley 1982).  NaN of none.
    """
    survival = estimate_survival(distance, reached)
    bands = {"value": survival.share, "low": survival.low, "high": survival.high}
    return {name: _fall_to_half(survival.distance, band) for name, band in bands.items()} | {"n": survival.n}


def _fall_to_half(distance: np.ndarray, share: np.ndarray) -> float:
    if not len(distance):
        return float("nan")
    at, below = (np.append(distance[fallen], np.inf)[0] for fallen in (share <= 0.5 + ROUNDING, share < 0.5 - ROUNDING))
    return float((at + below) / 2)
