"""Samples moved a step up and a step down one dimension: which ones, and what that does to what is measured."""

from collections.abc import Callable

import numpy as np

from failure_atlas.world.show import World, move_styles

Measure = Callable[[np.ndarray], np.ndarray]  # images uint8 [N, C, H, W] -> measurements [N, M]


def measure_move(
    world: World,
    measure: Measure,
    styles: np.ndarray,
    dimension: int,
    std: float,
    step_std: float,
    noise: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Central difference between s + step and s - step along one dimension, per std.

    styles: [n, D] float32.  std: signed, of the dimension in raw style units: its sign is the direction of the move.
    noise: int64 [n], see `World.show`.
    Returns differences of the measurements [n, M], and the mean absolute pixel change in grey [n].
    """
    along = np.full(len(styles), dimension)
    ends = [
        world.show(move_styles(styles, along, np.full(len(styles), sign * step_std * std)), (), noise=noise).images
        for sign in (1, -1)
    ]
    at_up, at_down = np.split(measure(np.concatenate(ends)), 2)
    pixels = np.abs(ends[0].astype(np.float64) - ends[1]).mean(axis=(1, 2, 3)) / 255
    return (at_up - at_down) / (2 * step_std), pixels / (2 * step_std)


def choose_balanced(true_class: np.ndarray, count: int, classes: int, random: np.random.Generator) -> np.ndarray:
    """Indices of `count` samples, as many of each class as of the next (one more of the first classes if it must be).

    Fewer where a class has not so many. true_class: [N] int64.
    """
    chosen = [
        random.permutation(np.flatnonzero(true_class == index))[: (count + classes - 1 - index) // classes]
        for index in range(classes)
    ]
    return np.sort(np.concatenate(chosen))


def find_typical(values: np.ndarray, level: np.ndarray) -> int:
    """Index of the most typical sample of the half with the higher level: what acts on noise shows on noise only.

    Nearest to that half's median in all columns, each in units of its standard deviation; values: [N, M], level: [N].
    Rows with NaN come last.
    """
    upper = np.flatnonzero(~(level < np.nanmedian(level)))
    own = values[upper]
    spread = np.nanstd(own, axis=0)
    scaled = (own - np.nanmedian(own, axis=0)) / np.where(spread > 0, spread, 1)
    return int(upper[np.argmin(np.nan_to_num(np.square(scaled).sum(axis=1), nan=np.inf))])
