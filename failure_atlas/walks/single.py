"""Walks along single style dimensions: which dimensions, and where each walk ends (Le Coz et al. 2022, 2.3)."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from failure_atlas.walks.crossing import LEVEL, TOLERANCE, find_crossings
from failure_atlas.world.show import Shown, World

# Starts [K] int64, dimensions [K] int64, signed moves [K] in raw style units -> true-class softmax [K].
MeasureProbability = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Candidates:
    """The dimensions to try from S starts, the most influential first; both [S, K].

    dimension: int64.  step: one std against the gradient in raw style units, signed; 0 where a walk makes no sense
    because the score or the std is 0.
    """

    dimension: np.ndarray
    step: np.ndarray

    def first_movable(self, count: int) -> "Candidates":
        """The first `count` of each start that can be moved; where there are fewer, steps of 0 at the end."""
        order = np.argsort(self.step == 0, axis=1, kind="stable")[:, :count]
        return Candidates(*(np.take_along_axis(each, order, axis=1) for each in (self.dimension, self.step)))


@dataclass(frozen=True)
class Walks:
    """M walks, each array [M], ordered by start, then by place.

    start: index of the start.  place: index among the start's candidates.  dimension, step: as in `Candidates`.
    shift_std: where the walk ended, the farthest tried where it never arrived.  reached: whether the true-class
    softmax fell to 0.50.
    """

    start: np.ndarray
    place: np.ndarray
    dimension: np.ndarray
    step: np.ndarray
    shift_std: np.ndarray
    reached: np.ndarray

    def select(self, rows: np.ndarray) -> "Walks":
        """The walks at the given indices, or where a mask is true."""
        return Walks(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def walk_dimensions(
    measure: MeasureProbability,
    start_probability: np.ndarray,
    candidates: Candidates,
    *,
    wanted: int,
    grid_std: np.ndarray,
    min_effect: float = 0.0,
    tolerance: float = TOLERANCE,
    shortest: bool = False,
    on_end: Callable[[int], None] = lambda _: None,
) -> tuple[Walks, np.ndarray]:
    """From each start, walk along its first `wanted` dimensions that have an effect, all starts at once.

    start_probability: [S]; a start at 0.5 or less is in doubt already and gets no walk.  grid_std: [G], rising; its end
    is the farthest shift.  tolerance: how far below 0.50 a walk may end.  shortest: walks of a start stop where another
    has arrived, for none of them can be the shortest; only that along its first candidate goes on.  on_end: told how
    many of the walks that will be returned have just ended.
    A dimension along which the probability never changes by min_effect has no effect: it is counted, and the next one
    in the ranking takes its place.
    Returns the walks and the number of dimensions that each start passed over, [S] int64.
    """
    starts, places = candidates.dimension.shape
    limits = np.where(start_probability > LEVEL, places, 0)
    cursor, found, every = np.zeros(starts, np.int64), np.zeros(starts, np.int64), np.arange(places)
    rounds: list[Walks] = []
    while not rounds or ((found < wanted) & (cursor < limits)).any():
        ends = np.minimum(cursor + wanted - found, limits)
        tried = (every >= cursor[:, None]) & (every < ends[:, None]) & (candidates.step != 0)
        options = (grid_std, min_effect, tolerance, shortest, on_end)
        rounds.append(_walk(measure, start_probability, candidates, tried, *options))
        cursor, found = ends, found + np.bincount(rounds[-1].start, minlength=starts)
    joined = Walks(*(np.concatenate([getattr(part, field.name) for part in rounds]) for field in fields(Walks)))
    return joined.select(np.lexsort((joined.place, joined.start))), cursor - found


def _walk(
    measure: MeasureProbability,
    start_probability: np.ndarray,
    candidates: Candidates,
    tried: np.ndarray,
    grid_std: np.ndarray,
    min_effect: float,
    tolerance: float,
    shortest: bool,
    on_end: Callable[[int], None],
) -> Walks:
    """Walk along the candidates that are tried, [S, K] bool; those without effect are left out."""
    start, place = np.nonzero(tried)
    dimension, step = candidates.dimension[tried], candidates.step[tried]
    crossings = find_crossings(
        lambda walks, shift_std: measure(start[walks], dimension[walks], step[walks] * shift_std),
        start_probability[start],
        grid_std,
        tolerance=tolerance,
        follow=lambda reached: (place == 0) | ~np.isin(start, start[reached]) if shortest else True,
        on_arrival=on_end,
    )
    idle = ~crossings.reached & (crossings.largest_change < min_effect)
    on_end(int(np.count_nonzero(~crossings.reached & ~idle)))
    return Walks(start, place, dimension, step, crossings.position, crossings.reached).select(~idle)


def find_shortest(walks: Walks) -> np.ndarray:
    """Row of the shortest walk of each start that has one which arrived, [K] int64, by rising start."""
    arrived = np.flatnonzero(walks.reached)
    order = arrived[np.lexsort((walks.place[arrived], walks.shift_std[arrived], walks.start[arrived]))]
    return np.asarray(order[np.unique(walks.start[order], return_index=True)[1]])


def trace_walk(world: World, start: np.ndarray, dimension: int, amounts: np.ndarray, seed: int | None = None) -> Shown:
    """What is seen along one style dimension: an image for each amount, and what every network says of it.

    start: [D], in raw style units.  dimension: which of the D is moved.  amounts: [K], what is added to it.
    seed: of the noise in all of them; None: the constant noise.
    """
    styles = np.repeat(np.asarray(start, np.float32)[None], len(amounts), axis=0)
    styles[:, dimension] += np.asarray(amounts, np.float32)
    return world.show(styles, noise=None if seed is None else np.full(len(amounts), seed))
