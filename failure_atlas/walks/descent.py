"""Walks along many dimensions at once, down the slope of the true class's log-odds, and the smallest sets of them.

The log-odds are those of the softmax: 0 where that is 0.50, and of use where it rounds to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from failure_atlas.walks.crossing import LEVEL, TOLERANCE, halve_brackets, space_grid

HALF = float(logit(LEVEL))  # the level in log-odds
FINE_TOLERANCE = TOLERANCE / 2  # of the softmax: the farther below 0.50 a walk ends, the more often another class leads
ROUNDING = 1e-9  # of a path length that many steps add up to

# Which starts [K] int64, their offsets [K, D] in std -> log-odds of the true class [K].
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]
# The same -> log-odds [K] and their slope along each dimension, per std [K, D].
Differentiate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Moves:
    """Moves of N starts by one rule.

    offset: [N, D] in std.  length_std: [N], along the way.  reached: [N] bool, whether the true-class softmax fell to
    0.50; true with length 0 where it was there from the start.
    """

    offset: np.ndarray
    length_std: np.ndarray
    reached: np.ndarray


def walk_jointly(
    measure: Measure,
    differentiate: Differentiate,
    walks: int,
    dimensions: int,
    *,
    step_std: float,
    max_path_std: float,
    on_end: Callable[[int], None] = lambda _: None,
) -> Moves:
    """From each start, step against the slope, taken anew at every step, until the log-odds fall to 0.

    A step moves by step_std in the L2 norm of std units, so dimensions take part in proportion to |std * gradient|.
    The last step is bisected; a walk that does not arrive ends at max_path_std, or where every slope is 0. One gradient
    per step and walk under way.  on_end: told how many walks have just ended.
    """
    offset, path = np.zeros((walks, dimensions)), np.zeros(walks)
    value, slope = differentiate(np.arange(walks), offset)
    reached = value <= HALF
    going, under_way = ~reached & slope.any(axis=1), np.arange(walks)
    while True:
        on_end(int(np.count_nonzero(~going)))
        under_way, slope = under_way[going], slope[going]
        if not under_way.size:
            return Moves(offset, path, reached)
        length = np.minimum(step_std, max_path_std - path[under_way])
        near, step = offset[under_way], length[:, None] * _point_down(slope)
        value, slope = differentiate(under_way, near + step)
        fallen = value <= HALF
        share = np.ones(len(under_way))
        share[fallen] = _cross(measure, under_way[fallen], near[fallen], step[fallen], value[fallen])
        offset[under_way] = near + share[:, None] * step
        path[under_way] += share * length
        reached[under_way] = fallen
        going = ~fallen & (path[under_way] < max_path_std - ROUNDING) & slope.any(axis=1)


def walk_on(
    differentiate: Differentiate, rows: np.ndarray, offset: np.ndarray, *, step_std: float, length_std: float
) -> np.ndarray:
    """The same walk for a fixed length from given offsets, through the level and past it.

    rows: [K], starts.  offset: [K, D] in std. Returns offsets [K, D]; steps are equal and at most step_std long.
    """
    steps = int(np.ceil(length_std / step_std - ROUNDING))
    for _ in range(steps if len(rows) else 0):
        _, slope = differentiate(rows, offset)
        offset = offset + length_std / steps * _point_down(slope)
    return offset


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
) -> tuple[Moves, np.ndarray]:
    """Take the steepest dimension of each start, move it within the budget, and repeat until the log-odds fall to 0.

    The slope is taken anew in every round; a dimension moves against it once, to the lowest log-odds of a grid of
    steps of at most step_std up to budget_std, or not at all if none is lower. After at most most_dimensions rounds
    the sets that arrived are pruned (each dimension left out once, the one that gained least first) and then shrunk as
    a whole until the log-odds are 0, so that no move is longer than needed.
    on_end: told how many starts have just arrived or given up.
    Returns the moves, 0 outside the sets, and how many dimensions were taken and dropped again, [N] int64.
    """
    offset, gain = np.zeros((starts, dimensions)), np.zeros((starts, dimensions))
    taken = np.zeros((starts, dimensions), bool)
    amounts = space_grid(budget_std, step_std)
    value, slope = differentiate(np.arange(starts), offset)
    under_way = np.flatnonzero(value > HALF)
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
        taken[under_way, chosen] = True
        directed = -np.sign(slope[under_way, chosen])[:, None] * amounts
        amount, lowest = _search_line(measure, under_way, offset[under_way], chosen, directed)
        helps = lowest < value[under_way]
        rows, columns = under_way[helps], chosen[helps]
        offset[rows, columns] = amount[helps]
        gain[rows, columns] = value[rows] - lowest[helps]
        value[rows] = lowest[helps]
        on_end(int(np.count_nonzero(value[under_way] <= HALF)))
        under_way = under_way[value[under_way] > HALF]
    on_end(len(under_way))
    reached = value <= HALF
    before = (offset != 0).sum(axis=1)
    arrived = np.flatnonzero(reached)
    pruned, far_value = _prune(measure, arrived, offset[arrived], gain[arrived], value[arrived])
    offset[arrived] = pruned * _cross(measure, arrived, np.zeros_like(pruned), pruned, far_value)[:, None]
    return Moves(offset, np.abs(offset).sum(axis=1), reached), before - (offset != 0).sum(axis=1)


def _cross(measure: Measure, rows: np.ndarray, near: np.ndarray, step: np.ndarray, far_value: np.ndarray) -> np.ndarray:
    """Share [K] of each step [K, D] at which the softmax falls to 0.50; far_value: log-odds [K] at the far end."""
    share, value = np.ones(len(rows)), expit(far_value)
    halve_brackets(
        lambda which, at: expit(measure(rows[which], near[which] + at[:, None] * step[which])),
        np.arange(len(rows)),
        np.zeros(len(rows)),
        share,
        value,
        tolerance=FINE_TOLERANCE,
    )
    return share


def _point_down(slope: np.ndarray) -> np.ndarray:
    """Unit vectors against the slope; rows of zeros stay. slope: [K, D]."""
    norm = np.sqrt(np.square(slope).sum(axis=1, keepdims=True))
    return np.asarray(-slope / np.where(norm > 0, norm, 1))


def _search_line(
    measure: Measure, rows: np.ndarray, offset: np.ndarray, dimension: np.ndarray, amounts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Amount and log-odds, [K] each, at the lowest point of each start's line; amounts: [K, T], signed."""
    each, tried = np.arange(len(rows)), amounts.shape[1]
    lines = np.repeat(offset, tried, axis=0)
    lines[np.arange(len(lines)), np.repeat(dimension, tried)] += amounts.ravel()
    values = measure(np.repeat(rows, tried), lines).reshape(amounts.shape)
    lowest = values.argmin(axis=1)
    return amounts[each, lowest], values[each, lowest]


def _prune(
    measure: Measure, rows: np.ndarray, offset: np.ndarray, gain: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out each dimension once, the one that gained least first, where the log-odds stay at or below 0 without it.

    All arrays run over the same K starts and are changed. Returns the offsets [K, D] left and the log-odds [K] there.
    """
    order = np.argsort(np.where(offset != 0, gain, np.inf), axis=1, kind="stable")
    sizes = (offset != 0).sum(axis=1)
    for place in range(sizes.max(initial=0)):
        tried = np.flatnonzero(sizes > place)
        without = offset[tried]
        without[np.arange(len(tried)), order[tried, place]] = 0
        values = measure(rows[tried], without)
        spare = values <= HALF
        offset[tried[spare]], value[tried[spare]] = without[spare], values[spare]
    return offset, value
