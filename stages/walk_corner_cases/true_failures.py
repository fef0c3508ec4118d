"""The first true failure on a walk: the classifier is wrong while a judge still sees the class that was meant."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from stages.walk_corner_cases.walks import LEVEL, MeasureProbability, Walks

TOLERANCE_STD = 1e-3

# Walks [K] int64, shifts [K] in std -> the judge's true-class probability [K] there, 0 where the classifier is right.
WeighFailure = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TrueFailures:
    """Where M walks first meet a true failure, each array [M].

    found: bool.  shift_std: how far along the walk.  judge_probability: of the true class, there; both NaN where none
    was found.
    """

    found: np.ndarray
    shift_std: np.ndarray
    judge_probability: np.ndarray

    def select(self, rows: np.ndarray) -> "TrueFailures":
        """Those of the walks at the given indices, or where a mask is true."""
        return TrueFailures(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def tell_wrong(softmax: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Whether the classifier sees another class and gives the true one 0.50 at most; bool [N].

    softmax: [N, C].  true_class: [N]. At a corner case the true class stands at 0.50 and is often still the most
    probable one: the classifier is in doubt there, not wrong.
    """
    wrong = softmax.argmax(axis=1) != true_class
    return np.asarray(wrong & (softmax[np.arange(len(softmax)), true_class] <= LEVEL))


def find_true_failures(
    weigh: WeighFailure,
    crossing_std: np.ndarray,
    reached: np.ndarray,
    grid_std: np.ndarray,
    *,
    confidence: float,
    tolerance_std: float = TOLERANCE_STD,
    on_end: Callable[[int], None] = lambda _: None,
) -> TrueFailures:
    """Follow walks from their crossing of 0.50 to the first true failure, all walks at once.

    A point is a true failure where the classifier is wrong (see `tell_wrong`) and the judge gives the true class at
    least `confidence`, each of them also on the image in bytes (see `JudgedProbe.weigh`). Tried are the crossing, then
    the points of the grid beyond it; the first that holds is drawn nearer by bisection, to within tolerance_std of a
    point that does not hold. The shift returned is one at which both were asked and the condition held.
    Unlike a fall to a level, the condition may hold on an island: the judge gives up soon after the classifier. What
    lies between two points of the grid is not seen, so that an earlier true failure, or the only one, may be missed,
    and the share of walks that have one is a lower bound; a finer grid misses less.
    weigh: called with the walks still under way.  crossing_std, reached: [M], as in `Walks`; a walk that never reached
    0.50 has no true failure.  grid_std: [G], rising.  on_end: told how many walks have just found one or given up.
    """
    position, value = crossing_std.astype(float), np.zeros(len(crossing_std))
    before = position.copy()
    following = np.searchsorted(grid_std, position, side="right")
    under_way = np.flatnonzero(reached)
    while under_way.size:
        value[under_way] = weigh(under_way, position[under_way])
        ended = (value[under_way] >= confidence) | (following[under_way] == len(grid_std))
        on_end(int(np.count_nonzero(ended)))
        under_way = under_way[~ended]
        before[under_way] = position[under_way]
        position[under_way] = grid_std[following[under_way]]
        following[under_way] += 1
    found = reached & (value >= confidence)
    while (loose := np.flatnonzero(found & (position - before > tolerance_std))).size:
        middle = (before[loose] + position[loose]) / 2
        values = weigh(loose, middle)
        holds = values >= confidence
        position[loose[holds]], value[loose[holds]] = middle[holds], values[holds]
        before[loose[~holds]] = middle[~holds]
    return TrueFailures(found, np.where(found, position, np.nan), np.where(found, value, np.nan))


def stop_at_true_failures(measure: MeasureProbability, walks: Walks, failures: TrueFailures) -> Walks:
    """The walks that meet a true failure, each ended there."""
    own, shift_std = walks.select(failures.found), failures.shift_std[failures.found]
    return replace(own, shift_std=shift_std, probability=measure(own.start, own.dimension, own.step * shift_std))
