"""A curve of accuracy: from equal-count bins of a distance, or from the same samples at every step of a shift.

Two numbers for a curve: the area under it and its slope, both weighted sums of its accuracies. Does it fall? One-sided
tests against no trend, and of the rise between any two points.

Area: the mean accuracy over the range of x (trapezoids, divided by the range), in [0, 1].
Slope: of the straight line that fits best, whether or not the curve is straight, per unit of x.
Bins hold different samples, so their errors add up; the steps of a shift hold the same samples, so the weighted sum
is taken for each sample first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from failure_atlas.statistics.bootstrap import find_matched_error, find_share_error
from failure_atlas.statistics.estimates import Z, adjust_holm, wilson


@dataclass(frozen=True)
class Curve:
    """Arrays [B]: place on the x axis, accuracy, its interval or range, and the number of samples of each point."""

    x: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class Rise:
    """The surest rise of a curve: the accuracies that it rises between, and its p-value among all pairs of points."""

    before: float
    after: float
    p_value: float


def bin_accuracy(distance: np.ndarray, well: np.ndarray, bins: int, tail_quantile: float) -> Curve:
    """Accuracy in bins that hold the same number of samples, within one, with Wilson intervals.

    distance: [N]; samples without one (NaN) are left out.  well: bool [N].  bins: at most; one sample each at least.
    tail_quantile: the share of samples that is kept, the nearest first; the far tail is cut.  x: a bin's mean distance.
    """
    return count_bins(distance, well, split_bins(distance, bins, tail_quantile))


def split_bins(distance: np.ndarray, bins: int, tail_quantile: float) -> list[np.ndarray]:
    """The samples of each bin of `bin_accuracy`, the nearest bin first: indices into [N]; none without a distance."""
    known = np.flatnonzero(~np.isnan(distance))
    if len(known) == 0:
        return []
    kept = max(1, int(tail_quantile * len(known) + 1e-9))
    order = known[np.argsort(distance[known], kind="stable")[:kept]]
    return np.array_split(order, min(bins, len(order)))


def count_bins(distance: np.ndarray, correct: np.ndarray, parts: Sequence[np.ndarray]) -> Curve:
    """The share of `correct`, bool [N], among the samples of each bin, with Wilson intervals; parts: `split_bins`."""
    n = np.array([len(part) for part in parts], np.int64)
    successes = np.array([np.count_nonzero(correct[part]) for part in parts], np.int64)
    low, high = wilson(successes, n)
    return Curve(np.array([distance[part].mean() for part in parts], float), successes / n, low, high, n)


def count_accuracy(x: np.ndarray, correct: np.ndarray) -> Curve:
    """Accuracy of the same samples at every step, with Wilson intervals; x: [T], correct: bool [T, N]."""
    n = np.full(len(x), correct.shape[1])
    successes = np.count_nonzero(correct, axis=1)
    low, high = wilson(successes, n)
    with np.errstate(invalid="ignore"):
        return Curve(np.asarray(x, float), successes / n, low, high, n)


def average_curves(curves: Sequence[Curve]) -> Curve:
    """Mean of several curves of equally many points, point by point; low and high are the range over the curves.

    n is the mean number of samples of a point.
    """
    accuracy = np.stack([curve.accuracy for curve in curves])
    return Curve(
        np.mean([curve.x for curve in curves], axis=0),
        accuracy.mean(axis=0),
        accuracy.min(axis=0),
        accuracy.max(axis=0),
        np.asarray(np.rint(np.mean([curve.n for curve in curves], axis=0)), np.int64),
    )


def weigh_area(x: np.ndarray) -> np.ndarray:
    """Weights [B] that make accuracies at increasing x the normalised area; equal where x has no range."""
    x = np.asarray(x, float)
    span = float(np.ptp(x))
    if span == 0:
        return np.full(len(x), 1 / len(x))
    gaps = np.diff(x)
    return np.asarray((np.append(gaps, 0) + np.insert(gaps, 0, 0)) / (2 * span))


def weigh_slope(x: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Weights [B] that make accuracies the slope of weighted least squares; NaN where x has no range.

    precision: [B], the inverse variance of each accuracy.
    """
    share = precision / precision.sum()
    deviation = x - share @ x
    spread = share @ deviation**2
    return np.asarray(share * deviation / spread) if spread > 0 else np.full(len(x), np.nan)


def measure_area(curve: Curve) -> dict[str, Any]:
    """Area under a curve of bins with its 95 % interval: {value, low, high, n}; NaN for a curve without points."""
    return _bound(_combine_bins(curve, weigh_area(curve.x))) if len(curve.x) else _unknown()


def measure_slope(curve: Curve) -> dict[str, Any]:
    """Slope per unit of x of a curve of bins with its 95 % interval: {value, low, high, n}."""
    if len(curve.x) == 0:
        return _unknown()
    return _combine_bins(curve, weigh_slope(curve.x, find_share_error(curve.accuracy, curve.n) ** -2.0))


def measure_shift_area(x: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """Area under a curve of steps x [T] with the same samples, correct: bool [T, N]: {value, low, high, n}."""
    return _bound(_combine_samples(correct, weigh_area(x)))


def measure_shift_slope(x: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """Slope per unit of x of a curve of steps with the same samples; steps count equally: {value, low, high, n}."""
    return _combine_samples(correct, weigh_slope(x, np.ones(len(x))))


def check_bins(curve: Curve) -> float:
    """P-value of the Cochran-Armitage test that accuracy falls with x (Armitage 1955), for bins of different samples.

    H0: no linear trend of the share over x.  NaN without two different x; 0.5 where all samples have one outcome.
    """
    if len(curve.x) < 2 or np.ptp(curve.x) == 0:
        return float("nan")
    total = curve.n.sum()
    share = curve.n @ curve.accuracy / total
    deviation = curve.x - curve.n @ curve.x / total
    variance = share * (1 - share) * (curve.n @ deviation**2)
    z = (curve.n * (curve.accuracy - share)) @ deviation / np.sqrt(variance) if variance > 1e-12 else 0.0
    return float(stats.norm.cdf(z))


def check_steps(x: np.ndarray, correct: np.ndarray) -> float:
    """P-value of the t test that the samples' own slopes are negative on average, for steps that share samples.

    x: [T].  correct: bool [T, N].  H0: their mean is 0.  The slope is that of `measure_shift_slope`, one for each
    sample, so that a sample counts once however many steps it takes.  NaN for less than two samples or steps; 0.5
    where no sample has a slope.
    """
    if len(x) < 2 or correct.shape[1] < 2:
        return float("nan")
    each = weigh_slope(x, np.ones(len(x))) @ correct
    spread = each.std(ddof=1) / np.sqrt(len(each))
    if spread < 1e-12:  # all samples fall alike
        return 0.5 if abs(each.mean()) < 1e-12 else float(each.mean() > 0)
    return float(stats.t.cdf(each.mean() / spread, len(each) - 1))


def find_bin_rise(curve: Curve) -> Rise:
    """The surest rise from one bin to any later one, for bins of different samples.

    A difference of two shares with the error of Agresti and Caffo (2000), who add a success and a failure to each.
    """
    first, second = np.triu_indices(len(curve.x), 1)
    total = curve.n + 2
    share = (curve.accuracy * curve.n + 1) / total
    variance = share * (1 - share) / total
    return _choose_rise(curve, share[second] - share[first], np.sqrt(variance[first] + variance[second]))


def find_step_rise(curve: Curve, correct: np.ndarray) -> Rise:
    """The surest rise from one step to any later one, for steps that share samples; correct: bool [T, N].

    A difference of matched pairs, see `find_matched_error`.
    """
    first, second = np.triu_indices(len(curve.x), 1)
    before, after = correct[first], correct[second]
    pairs = max(correct.shape[1], 1)
    gained, lost = (after & ~before).sum(axis=1) / pairs, (before & ~after).sum(axis=1) / pairs
    return _choose_rise(curve, gained - lost, find_matched_error(gained, lost, curve.n[first]))


def _choose_rise(curve: Curve, difference: np.ndarray, error: np.ndarray) -> Rise:
    """The pair of points whose difference is the most of its standard errors above 0; NaN below two points.

    One-sided, by Holm over all pairs, so that at most one in 20 curves that never rise shows a rise at 0.05: Holm's
    correction holds whether points share samples or not, and needs no resampling; the distribution of the largest of
    all differences, for ten bins, would ask for 2.97 standard errors where this asks for 3.06.
    """
    if not len(difference) or not curve.n.all():
        return Rise(float("nan"), float("nan"), float("nan"))
    best = int(np.argmax(z := difference / error))
    first, second = (each[best] for each in np.triu_indices(len(curve.x), 1))
    p_value = adjust_holm(stats.norm.sf(z))[best]
    return Rise(float(curve.accuracy[first]), float(curve.accuracy[second]), float(p_value))


def _combine_bins(curve: Curve, weights: np.ndarray) -> dict[str, Any]:
    half = Z * float(np.sqrt(weights**2 @ find_share_error(curve.accuracy, curve.n) ** 2))
    return _interval(float(weights @ curve.accuracy), half, int(curve.n.sum()))


def _combine_samples(correct: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    if correct.shape[1] == 0:
        return _unknown()
    each = weights @ correct
    half = Z * float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
    return _interval(float(each.mean()), half, len(each))


def _interval(value: float, half: float, n: int) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def _bound(area: dict[str, Any]) -> dict[str, Any]:
    """An area cannot leave [0, 1]."""
    return area | {"low": max(0.0, area["low"]), "high": min(1.0, area["high"])}


def _unknown() -> dict[str, Any]:
    return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
