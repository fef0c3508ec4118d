"""Where functions first fall to a level: bracket on a grid, then bisect. So ends every walk (Le Coz et al. 2022, 2.3).

One function is one path through S: along a dimension, down the gradient, or along a set of dimensions at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Evaluate = Callable[[np.ndarray, np.ndarray], np.ndarray]  # which functions [K] int64, where [K] -> values [K]
LEVEL = 0.5  # the true-class softmax at a corner case
TOLERANCE = 1e-3  # how far below it a walk may end
MOST_HALVINGS = 60  # a bracket of 1 is then narrower than the spacing of float64


@dataclass(frozen=True)
class Crossings:
    """Where M functions first fall to the level.

    position: [M], the crossing, or the last point tried where there is none.  value: [M], the value there.
    reached: [M] bool.  largest_change: [M], largest |value - start| met on the grid.
    """

    position: np.ndarray
    value: np.ndarray
    reached: np.ndarray
    largest_change: np.ndarray


def space_grid(farthest: float, step: float) -> np.ndarray:
    """Equal steps of at most `step` up to exactly the farthest point, without 0."""
    steps = int(np.ceil(farthest / step))
    return np.linspace(farthest / steps, farthest, steps)


def find_crossings(
    evaluate: Evaluate,
    start: np.ndarray,
    grid: np.ndarray,
    *,
    origin: np.ndarray | float = 0.0,
    level: float = LEVEL,
    tolerance: float = TOLERANCE,
    width: float = 0.0,
    follow: Callable[[np.ndarray], np.ndarray | bool] = lambda _: True,
    on_arrival: Callable[[int], None] = lambda _: None,
) -> Crossings:
    """Follow functions along the grid to the first point at or below the level, then bisect the last step.

    evaluate: called with the functions still under way, all at once.  start: [M], values at the origin, above the
    level.  grid: [G], rising; a function is tried beyond its origin only.  A dip between two points is not seen.
    tolerance, width: as in `halve_brackets`.  follow: told which [M] have reached the level, says which [M] of the
    others go on.  on_arrival: told how many functions have just reached the level.
    Raises ValueError if a start is not above the level.
    """
    if not np.all(start > level):
        raise ValueError(f"starts must be above {level}, got {start.min()}")
    origin = np.broadcast_to(np.asarray(origin, float), start.shape)
    before, position, value = origin.copy(), origin.copy(), start.astype(float)
    largest_change = np.zeros(len(start))
    for point in grid:
        now = np.flatnonzero((value > level) & (origin < point) & follow(value <= level))
        if not now.size:
            continue
        position[now] = point
        value[now] = evaluate(now, position[now])
        largest_change[now] = np.maximum(largest_change[now], np.abs(value[now] - start[now]))
        before[now[value[now] > level]] = point
        on_arrival(int(np.count_nonzero(value[now] <= level)))
    reached = value <= level
    rows = np.flatnonzero(reached)
    halve_brackets(evaluate, rows, before, position, value, level=level, tolerance=tolerance, width=width)
    return Crossings(position, value, reached, largest_change)


def halve_brackets(
    evaluate: Evaluate,
    rows: np.ndarray,
    before: np.ndarray,
    position: np.ndarray,
    value: np.ndarray,
    *,
    level: float = LEVEL,
    tolerance: float = TOLERANCE,
    width: float = 0.0,
) -> None:
    """Bisect the brackets of some functions in place; the end stays on the far side, at or below the level.

    rows: which [K] int64.  before, position: [M], where they are above the level, and at or below it.  value: [M], at
    position.  A bracket is done where its value is above level - tolerance, or where it is no longer than `width`.
    """
    for _ in range(MOST_HALVINGS):
        loose = rows[(value[rows] < level - tolerance) & (position[rows] - before[rows] > width)]
        if not loose.size:
            break
        middle = (before[loose] + position[loose]) / 2
        values = evaluate(loose, middle)
        far = values <= level
        position[loose[far]], value[loose[far]] = middle[far], values[far]
        before[loose[~far]] = middle[~far]
