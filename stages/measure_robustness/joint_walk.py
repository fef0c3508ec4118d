"""Walks along all style dimensions at once, down the local gradient of the true class's log-odds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stages.measure_robustness.crossing import bisect_pieces
from stages.measure_robustness.log_odds import LEVEL
from stages.measure_robustness.std_space import Differentiate, Measure

ROUNDING = 1e-9  # of a path length that many steps add up to


@dataclass(frozen=True)
class JointWalks:
    """Where N walks ended.

    offset: [N, D] in std.  path_std: [N], length of the way there, in std.  reached: [N] bool, whether the true-class
    softmax fell to 0.50; else the walk ended at the longest path allowed, or where every slope was 0.
    """

    offset: np.ndarray
    path_std: np.ndarray
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
) -> JointWalks:
    """From each start, step against the slope, taken anew at every step, until the log-odds fall to 0.

    A step moves by step_std in the L2 norm of std units, so dimensions take part in proportion to |std * gradient|.
    The last step is bisected. One gradient per step and walk under way.  on_end: told how many walks have just ended.
    """
    offset, path = np.zeros((walks, dimensions)), np.zeros(walks)
    value, slope = differentiate(np.arange(walks), offset)
    reached = value <= LEVEL
    under_way = np.flatnonzero(~reached)
    slope = slope[under_way]
    on_end(walks - len(under_way))
    while under_way.size:
        movable = slope.any(axis=1)
        on_end(int(np.count_nonzero(~movable)))
        under_way, slope = under_way[movable], slope[movable]
        if not under_way.size:
            break
        length = np.minimum(step_std, max_path_std - path[under_way])
        near, step = offset[under_way], length[:, None] * _point_down(slope)
        value, slope = differentiate(under_way, near + step)
        crossed = np.flatnonzero(value <= LEVEL)
        share = np.ones(len(under_way))
        share[crossed] = _bisect_steps(measure, under_way[crossed], near[crossed], step[crossed], value[crossed])
        offset[under_way] = near + share[:, None] * step
        path[under_way] += share * length
        reached[under_way[crossed]] = True
        going = (value > LEVEL) & (path[under_way] < max_path_std - ROUNDING)
        on_end(int(np.count_nonzero(~going)))
        under_way, slope = under_way[going], slope[going]
    return JointWalks(offset, path, reached)


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


def _bisect_steps(
    measure: Measure, rows: np.ndarray, near: np.ndarray, step: np.ndarray, far_value: np.ndarray
) -> np.ndarray:
    """Share of each step at which its walk crosses; all arrays run over the same walks."""
    return bisect_pieces(
        lambda pieces, share: measure(rows[pieces], near[pieces] + share[:, None] * step[pieces]), far_value
    )


def _point_down(slope: np.ndarray) -> np.ndarray:
    """Unit vectors against the slope; rows of zeros stay. slope: [K, D]."""
    norm = np.sqrt(np.square(slope).sum(axis=1, keepdims=True))
    return np.asarray(-slope / np.where(norm > 0, norm, 1))
