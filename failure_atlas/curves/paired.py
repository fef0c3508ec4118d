"""Two classifiers on the same samples: the difference of their curves and of the areas under them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.curves.curve import split_bins, weigh_area
from failure_atlas.curves.distance import find_centres, measure_deviations, measure_distances
from failure_atlas.statistics.bootstrap import find_band, resample_means
from failure_atlas.statistics.estimates import Z, percentile

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
    Standard errors of the points are those of matched pairs with half a sample added to each of the four outcomes
    (Agresti and Min 2005), so that no point claims to be certain; band and area are bootstrapped over samples, each
    with all its points, the area by percentiles.
    """
    n = member.sum(axis=1)
    outcomes = (gain > 0, gain < 0)
    gained, lost = (np.where(member, outcome, 0).sum(axis=1) / n for outcome in outcomes)
    drawn_gained, drawn_lost = (resample_means(outcome, member, counts) for outcome in outcomes)
    difference, replicates = gained - lost, drawn_gained - drawn_lost
    error = _find_error(gained, lost, n)
    bands = find_band(difference, error, replicates, _find_error(drawn_gained, drawn_lost, n))
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


def _subtract(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    return second.astype(np.int8) - first.astype(np.int8)


def _find_error(gained: np.ndarray, lost: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of a share gained minus a share lost, with half a sample added to each outcome."""
    total = n + 2
    gained, lost = (gained * n + 0.5) / total, (lost * n + 0.5) / total
    return np.asarray(np.sqrt((gained + lost - (gained - lost) ** 2) / total))
