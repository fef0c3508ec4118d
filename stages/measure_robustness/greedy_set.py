"""The smallest set of dimensions that a greedy search finds to bring the classifier into doubt."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stages.measure_robustness.crossing import bisect_pieces
from stages.measure_robustness.log_odds import LEVEL
from stages.measure_robustness.std_space import Differentiate, Measure


@dataclass(frozen=True)
class GreedySets:
    """The moves of N starts.

    offset: [N, D] in std, 0 outside the set.  reached: [N] bool, whether the true-class softmax fell to 0.50.
    pruned: [N] int64, how many dimensions were taken and dropped again.
    """

    offset: np.ndarray
    reached: np.ndarray
    pruned: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Dimensions in each set, [N] int64."""
        return np.asarray((self.offset != 0).sum(axis=1))


def find_sets(
    measure: Measure,
    differentiate: Differentiate,
    starts: int,
    dimensions: int,
    *,
    budget_std: float,
    step_std: float,
    most_dimensions: int,
    on_end: Callable[[int], None] = lambda _: None,
) -> GreedySets:
    """Take the steepest dimension of each start, move it within the budget, and repeat until the log-odds fall to 0.

    The slope is taken anew in every round; a dimension moves against it once, to the lowest log-odds of a grid of
    steps of at most step_std up to budget_std, or not at all if none is lower. After at most most_dimensions rounds
    the sets that arrived are pruned (each dimension left out once, the one that gained least first) and then shrunk as
    a whole until the log-odds are 0, so that no move is longer than needed.
    on_end: told how many starts have just arrived or given up.
    """
    offset, gain = np.zeros((starts, dimensions)), np.zeros((starts, dimensions))
    taken = np.zeros((starts, dimensions), bool)
    steps = int(np.ceil(budget_std / step_std))
    amounts = budget_std * np.arange(1, steps + 1) / steps
    value, slope = differentiate(np.arange(starts), offset)
    under_way = np.flatnonzero(value > LEVEL)
    on_end(starts - len(under_way))
    for round_ in range(min(most_dimensions, dimensions)):
        if round_:
            _, slope[under_way] = differentiate(under_way, offset[under_way])
        steepness = np.where(taken[under_way], 0, np.abs(slope[under_way]))
        movable = steepness.any(axis=1)
        chosen = steepness.argmax(axis=1)[movable]
        on_end(int(np.count_nonzero(~movable)))
        under_way = under_way[movable]
        if not under_way.size:
            break
        direction = -np.sign(slope[under_way, chosen])
        amount, lowest = _search_line(measure, under_way, offset[under_way], chosen, direction, amounts)
        taken[under_way, chosen] = True
        helps = lowest < value[under_way]
        rows, columns = under_way[helps], chosen[helps]
        offset[rows, columns] = amount[helps]
        gain[rows, columns] = value[rows] - lowest[helps]
        value[rows] = lowest[helps]
        on_end(int(np.count_nonzero(value[under_way] <= LEVEL)))
        under_way = under_way[value[under_way] > LEVEL]
    on_end(len(under_way))
    reached = value <= LEVEL
    before = (offset != 0).sum(axis=1)
    arrived = np.flatnonzero(reached)
    offset[arrived], value[arrived] = _prune(measure, arrived, offset[arrived], gain[arrived], value[arrived])
    offset[arrived] *= bisect_pieces(
        lambda pieces, share: measure(arrived[pieces], share[:, None] * offset[arrived[pieces]]), value[arrived]
    )[:, None]
    return GreedySets(offset, reached, before - (offset != 0).sum(axis=1))


def _search_line(
    measure: Measure,
    rows: np.ndarray,
    offset: np.ndarray,
    dimension: np.ndarray,
    direction: np.ndarray,
    amounts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Signed amount and log-odds, [K] each, at the lowest point of each start's line; amounts: [T], above 0."""
    count = len(rows)
    lines = np.repeat(offset, len(amounts), axis=0)
    signed = np.outer(direction, amounts)
    lines[np.arange(len(lines)), np.repeat(dimension, len(amounts))] += signed.ravel()
    values = measure(np.repeat(rows, len(amounts)), lines).reshape(count, len(amounts))
    lowest = values.argmin(axis=1)
    return signed[np.arange(count), lowest], values[np.arange(count), lowest]


def _prune(
    measure: Measure, rows: np.ndarray, offset: np.ndarray, gain: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out each dimension once, the one that gained least first, where the log-odds stay at or below 0 without it.

    All arrays run over the same K starts. Returns the offsets [K, D] left and the log-odds [K] there.
    """
    offset, value = offset.copy(), value.copy()
    order = np.argsort(np.where(offset != 0, gain, np.inf), axis=1, kind="stable")
    sizes = (offset != 0).sum(axis=1)
    for place in range(sizes.max(initial=0)):
        tried = np.flatnonzero(sizes > place)
        without = offset[tried]
        without[np.arange(len(tried)), order[tried, place]] = 0
        values = measure(rows[tried], without)
        spare = values <= LEVEL
        offset[tried[spare]], value[tried[spare]] = without[spare], values[spare]
    return offset, value
