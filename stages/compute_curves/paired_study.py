"""All paired differences: by distance on one axis for both classifiers, and by shift."""

from collections.abc import Iterator, Mapping

import numpy as np

from failure_atlas.curves.curve import split_bins
from failure_atlas.curves.distance import find_centres, measure_distances, square_deviations
from stages.compute_curves.paired import Difference, compare, pair_names


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
    pair them.  styles: [N, D].  outcomes: classifier -> bool [N].
    counts: [R, N], of `draw_counts`.
    """
    centres = find_centres(styles, true_class, np.ones(len(styles), bool), classes, "own_class")
    squares = square_deviations(styles, true_class, centres, std)
    distance = measure_distances(squares, np.arange(styles.shape[1]))
    parts = split_bins(distance, bins, tail_quantile)
    member = np.zeros((len(parts), len(styles)), bool)
    for row, part in zip(member, parts, strict=True):
        row[part] = True
    x = np.array([distance[part].mean() for part in parts])
    for first, second in pair_names(list(outcomes)):
        gain = np.broadcast_to(_subtract(outcomes[second], outcomes[first]), member.shape)
        yield compare(first, second, "distance", x, gain, member, counts)


def compare_by_shift(
    shifts_std: np.ndarray, correct: Mapping[str, np.ndarray], counts: np.ndarray
) -> Iterator[Difference]:
    """Yield the difference of every two classifiers after each shift of the same samples.

    Each is moved along the top dimensions of its own ranking, which is the attack that it has to stand.
    correct: classifier -> bool [T, N].  counts: [R, N], of `draw_counts`.
    """
    for first, second in pair_names(list(correct)):
        gain = _subtract(correct[second], correct[first])
        yield compare(first, second, "shift", shifts_std, gain, np.ones(gain.shape, bool), counts)


def _subtract(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    return second.astype(np.int8) - first.astype(np.int8)
