"""First fall of many functions to a level at once: bracket on a grid, then bisect."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Evaluate = Callable[[np.ndarray, np.ndarray], np.ndarray]  # which functions [K] int64, where [K] -> values [K]
MOST_HALVINGS = 60  # a bracket of 1 is then narrower than the spacing of float64


@dataclass(frozen=True)
class Crossings:
    """Where M functions first fall to the level.

    position: [M], the crossing, or the last point of the grid where there is none.  value: [M], the value there.
    reached: [M] bool.  largest_change: [M], largest |value - start| met on the grid.
    """

    position: np.ndarray
    value: np.ndarray
    reached: np.ndarray
    largest_change: np.ndarray


def find_crossings(
    evaluate: Evaluate,
    start: np.ndarray,
    grid: np.ndarray,
    *,
    level: float,
    tolerance: float,
    on_arrival: Callable[[int], None] = lambda _: None,
) -> Crossings:
    """Follow functions from 0 along the grid to the first point at or below the level, then bisect the last step.

    evaluate: called with the functions still under way, all at once.  start: [M], values at 0, above the level.
    grid: [G], rising, above 0. A dip between two points of the grid is not seen.  on_arrival: told how many functions
    have just reached the level.
    The end lies on the far side: level - tolerance <= value <= level, for continuous functions.
    Raises ValueError if a start is not above the level.
    """
    if not np.all(start > level):
        raise ValueError(f"starts must be above {level}, got {start.min()}")
    before, position = np.zeros(len(start)), np.zeros(len(start))
    value, largest_change = start.astype(float), np.zeros(len(start))
    under_way = np.arange(len(start))
    for point in grid:
        if not under_way.size:
            break
        position[under_way] = point
        value[under_way] = evaluate(under_way, position[under_way])
        change = np.abs(value[under_way] - start[under_way])
        largest_change[under_way] = np.maximum(largest_change[under_way], change)
        on_arrival(int(np.count_nonzero(value[under_way] <= level)))
        under_way = under_way[value[under_way] > level]
        before[under_way] = point
    reached = value <= level
    halve_brackets(evaluate, np.flatnonzero(reached), before, position, value, level=level, tolerance=tolerance)
    return Crossings(position, value, reached, largest_change)


def halve_brackets(
    evaluate: Evaluate,
    rows: np.ndarray,
    before: np.ndarray,
    position: np.ndarray,
    value: np.ndarray,
    *,
    level: float,
    tolerance: float,
) -> None:
    """Bisect the brackets of some functions in place, until level - tolerance <= value <= level.

    rows: which [K] int64.  before, position: [M], where they are above the level, and at or below it.  value: [M], at
    position.
    """
    for _ in range(MOST_HALVINGS):
        loose = rows[value[rows] < level - tolerance]
        if not loose.size:
            break
        middle = (before[loose] + position[loose]) / 2
        values = evaluate(loose, middle)
        far = values <= level
        position[loose[far]], value[loose[far]] = middle[far], values[far]
        before[loose[~far]] = middle[~far]
