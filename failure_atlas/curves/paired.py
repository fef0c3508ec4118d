"""Differences on the same samples: between two classifiers, and of one classifier between two sets of dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from failure_atlas.curves.curve import split_bins, weigh_area
from failure_atlas.curves.distance import CENTRES, SCALINGS, find_centres, measure_deviations, measure_distances
from failure_atlas.curves.shift import RANDOM, TOP, Order, Shifted
from failure_atlas.statistics.bootstrap import find_band, find_matched_error, resample_means
from failure_atlas.statistics.estimates import TAIL, Z, mean, percentile

COLUMNS = ("point", "x", "difference", "low", "high", "band_low", "band_high", "n")


@dataclass(frozen=True)
class Difference:
    """Accuracy of `second` minus that of `first` at the points of one kind of curve.

    points: a row each, with COLUMNS.  low, high: of each point by itself.  band_low, band_high: of the whole curve at
    once.  area: {value, low, high, n} of the area between the curves.
    """

    first: str
    second: str
    kind: str
    points: pd.DataFrame
    area: dict[str, Any]

    @property
    def name(self) -> str:
        """The pair in the words of metrics.json."""
        return f"{self.second}_minus_{self.first}"


def compare(
    first: str, second: str, kind: str, x: np.ndarray, gain: np.ndarray, member: np.ndarray, counts: np.ndarray
) -> Difference:
    """The difference of two curves whose samples are the same.

    x: [T], fixed.  gain: [T, N], 1 where only the second is right, -1 where only the first is, else 0.
    member: bool [T, N], the samples of each point, one at least.  counts: [R, N], of `draw_counts`.
    Standard errors of the points are those of `find_matched_error`; band and area are bootstrapped over samples, each
    with all its points, the area by percentiles.
    """
    n = member.sum(axis=1)
    outcomes = (gain > 0, gain < 0)
    gained, lost = (np.where(member, outcome, 0).sum(axis=1) / n for outcome in outcomes)
    drawn_gained, drawn_lost = (resample_means(outcome, member, counts) for outcome in outcomes)
    difference, replicates = gained - lost, drawn_gained - drawn_lost
    error = find_matched_error(gained, lost, n)
    bands = find_band(difference, error, replicates, find_matched_error(drawn_gained, drawn_lost, n))
    ends = [np.clip(end, -1, 1) for end in (difference - Z * error, difference + Z * error, *bands)]
    points = dict(zip(COLUMNS, (np.arange(len(x)), np.asarray(x, float), difference, *ends, n), strict=True))
    weights = weigh_area(x)
    low, high = percentile(replicates @ weights)
    taking_part = int(np.count_nonzero(member.any(axis=0)))
    area = {"value": float(weights @ difference), "low": low, "high": high, "n": taking_part}
    return Difference(first, second, kind, pd.DataFrame(points), area)


def compare_by_distance(
    styles: np.ndarray,
    true_class: np.ndarray,
    outcomes: Mapping[str, np.ndarray],
    std: np.ndarray,
    *,
    classes: int,
    bins: int,
    tail_quantile: float,
    counts: np.ndarray,
) -> Iterator[Difference]:
    """Yield the difference of every two classifiers in bins of one distance.

    The axis favours no classifier: the standardised distance in all style dimensions from the mean of all samples of
    the own class.  Rankings and well-classified centres differ between classifiers, so the axes of figure 6 cannot
    pair them.  styles: [N, D].  outcomes: classifier -> bool [N].  counts: [R, N], of `draw_counts`.
    """
    centres = find_centres(styles, true_class, np.ones(len(styles), bool), classes, "own_class")
    deviations = measure_deviations(styles, true_class, centres, std)
    distance = measure_distances(deviations, np.arange(styles.shape[1]))
    parts = split_bins(distance, bins, tail_quantile)
    member = np.zeros((len(parts), len(styles)), bool)
    for row, part in zip(member, parts, strict=True):
        row[part] = True
    x = np.array([distance[part].mean() for part in parts])
    for first, second in combinations(outcomes, 2):
        gain = np.broadcast_to(_subtract(outcomes[second], outcomes[first]), member.shape)
        yield compare(first, second, "distance", x, gain, member, counts)


def compare_by_shift(
    shifts_std: np.ndarray, correct: Mapping[str, np.ndarray], counts: np.ndarray
) -> Iterator[Difference]:
    """Yield the difference of every two classifiers after each shift of the same samples.

    Each is moved along the top dimensions of its own ranking, which is the attack that it has to stand.
    correct: classifier -> bool [T, N].  counts: [R, N], of `draw_counts`.
    """
    for first, second in combinations(correct, 2):
        gain = _subtract(correct[second], correct[first])
        yield compare(first, second, "shift", shifts_std, gain, np.ones(gain.shape, bool), counts)


def compare_outcomes(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Accuracy of the second classifier minus that of the first on the same images: {value, low, high, n}.

    first, second: bool [N], who is right.  The interval is that of matched pairs, see `find_matched_error`.
    """
    n = len(first)
    gained, lost = (np.array(np.count_nonzero(each) / n) for each in (second & ~first, first & ~second))
    value, half = float(gained - lost), Z * float(find_matched_error(gained, lost, np.array(n)))
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def compare_ways(shifted: Shifted) -> dict[str, dict[str, Any]]:
    """Areas of samples moved along the top dimensions minus those of the same samples along random ones.

    `shift_area`: under the classifier's accuracy; `shift_avoidable_area`: under the share that only the judge reads.
    Each {value, low, high, n}: Student's over the draws, which are n and hold different samples.
    """
    weights = weigh_area(shifted.shifts_std)
    shares = {"shift_area": shifted.classifier, "shift_avoidable_area": shifted.judge & ~shifted.classifier}
    each = {name: weights @ share[TOP] - weights @ share[RANDOM] for name, share in shares.items()}
    draws = [shifted.draw == draw for draw in np.unique(shifted.draw)]
    return {name: mean(np.array([gap[rows].mean() for rows in draws])) for name, gap in each.items()}


def compare_slopes(
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    well: np.ndarray,
    order: Order,
    random_sets: Sequence[np.ndarray],
    classes: int,
    tail_quantile: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Does accuracy fall faster along the top K dimensions than along all of them, and than along K random ones?

    `slope_minus_all` and `slope_minus_random`: by version, `SCALING_CENTRE`, the slope of accuracy on distance in the
    top dimensions minus that in the others, {value, low, high, n}, below 0 where the top ones are steeper.
    random_sets: sets of K dimensions.  The rest as for `study_bins`.  Slopes are straight lines fitted to samples, not
    to bins, each over the range of distance in which both kinds of distance lie.
    Both are of the same samples: the error is that of the samples' own differences (of the first order, so that it
    holds whatever the shape of the curves).  n: samples in the range of the one that has fewer there; of random sets
    the number of sets, over which the mean is taken, with Student's interval for samples and sets together.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {"slope_minus_all": {}, "slope_minus_random": {}}
    for scaling, centre in product(SCALINGS, CENTRES):
        centres = find_centres(styles, true_class, well, classes, centre)
        deviations = measure_deviations(styles, true_class, centres, None if scaling == "raw" else std)
        top = measure_distances(deviations, order.dimensions[: len(random_sets[0])])
        others = [measure_distances(deviations, each) for each in (order.dimensions, *random_sets)]
        (value, influence, n), *drawn = [_subtract_slopes(top, other, well, tail_quantile) for other in others]
        version = f"{scaling}_{centre}"
        half = Z * float(np.sqrt(np.square(influence).sum()))
        found["slope_minus_all"][version] = {"value": value, "low": value - half, "high": value + half, "n": n}
        values, shared = np.array([each[0] for each in drawn]), np.mean([each[1] for each in drawn], axis=0)
        error = np.sqrt(np.square(shared).sum() + values.var(ddof=1) / len(values))
        value, half = float(values.mean()), float(special.stdtrit(len(values) - 1, 1 - TAIL) * error)
        ends = {"low": value - half, "high": value + half}
        found["slope_minus_random"][version] = {"value": value, **ends, "n": len(values)}
    return found


def _subtract_slopes(
    first: np.ndarray, second: np.ndarray, well: np.ndarray, tail_quantile: float
) -> tuple[float, np.ndarray, int]:
    """Slope of `well` on one distance minus that on another, what each sample adds to it [N], and the smaller count.

    first, second: [N], NaN for samples without a distance.  NaN where the distances have no range in common.
    """
    known = [distance[~np.isnan(distance)] for distance in (first, second)]
    low = max(each.min(initial=np.inf) for each in known)
    high = min(np.quantile(each, tail_quantile) if len(each) else -np.inf for each in known)
    slopes, influences, counts = [], [], []
    for distance in (first, second):
        inside = (distance >= low) & (distance <= high)
        deviation = np.where(inside, distance - (distance[inside].sum() / max(inside.sum(), 1)), 0)
        spread = np.square(deviation).sum()
        if spread == 0:
            return float("nan"), np.full(len(well), np.nan), 0
        slope = deviation @ well / spread
        residual = well - well[inside].mean() - slope * deviation
        slopes.append(slope)
        influences.append(deviation * residual / spread)
        counts.append(int(np.count_nonzero(inside)))
    return float(slopes[0] - slopes[1]), influences[0] - influences[1], min(counts)


def _subtract(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    return second.astype(np.int8) - first.astype(np.int8)
