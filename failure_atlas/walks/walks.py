"""Walks along single style dimensions: which dimensions, and where each walk ends (Le Coz et al. 2022, 2.3).

The first true failure on a walk: the classifier is wrong while a judge still sees the class that was meant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from failure_atlas.walks.bisection import find_crossings

LEVEL = 0.5  # the true-class softmax at a corner case
TOLERANCE = 1e-3

# Starts [K] int64, dimensions [K] int64, signed moves [K] in raw style units -> true-class softmax [K].
MeasureProbability = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Candidates:
    """The dimensions to try from one start, the most influential first.

    dimension: [K] int64.  step: [K], one std against the gradient in raw style units, signed; 0 where a walk makes no
    sense because the score or the std is 0.
    """

    dimension: np.ndarray
    step: np.ndarray


@dataclass(frozen=True)
class Walks:
    """M walks, each array [M], ordered by start, then by place.

    start: index of the start.  place: index among the start's candidates.  dimension, step: as in `Candidates`.
    shift_std: where the walk ended, the farthest tried where it never arrived.  probability: of the true class, there.
    reached: whether the true-class softmax fell to 0.50.
    """

    start: np.ndarray
    place: np.ndarray
    dimension: np.ndarray
    step: np.ndarray
    shift_std: np.ndarray
    probability: np.ndarray
    reached: np.ndarray

    def select(self, rows: np.ndarray) -> "Walks":
        """The walks at the given indices, or where a mask is true."""
        return Walks(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def space_grid(max_shift_std: float, step_std: float) -> np.ndarray:
    """Equal steps of at most step_std up to exactly max_shift_std, without 0."""
    steps = int(np.ceil(max_shift_std / step_std))
    return np.linspace(max_shift_std / steps, max_shift_std, steps)


def walk_dimensions(
    measure: MeasureProbability,
    start_probability: np.ndarray,
    candidates: Sequence[Candidates],
    *,
    wanted: int,
    grid_std: np.ndarray,
    min_effect: float,
    on_end: Callable[[int], None] = lambda _: None,
) -> tuple[Walks, np.ndarray]:
    """From each start, walk along its first `wanted` dimensions that have an effect, all starts at once.

    start_probability: [S]; a start at 0.5 or less is in doubt already and gets no walk.  candidates: one entry per
    start.  grid_std: [G], rising; its end is the farthest shift.  on_end: told how many of the walks
    that will be returned have just ended.
    A dimension along which the probability never changes by min_effect has no effect: it is counted, and the next one
    in the ranking takes its place.
    Returns the walks and the number of dimensions that each start passed over, [S] int64.
    """
    starts = len(candidates)
    limits = [len(own.dimension) if p > LEVEL else 0 for own, p in zip(candidates, start_probability, strict=True)]
    cursor, found = np.zeros(starts, np.int64), np.zeros(starts, np.int64)
    rounds: list[Walks] = []
    while True:
        ends = np.minimum(cursor + wanted - found, limits)
        start = np.repeat(np.arange(starts), ends - cursor)
        if not start.size:
            break
        place = np.concatenate([np.arange(*span) for span in zip(cursor, ends, strict=True)])
        cursor = ends
        walks = _walk(measure, start_probability, candidates, start, place, grid_std, min_effect, on_end)
        found += np.bincount(walks.start, minlength=starts)
        rounds.append(walks)
    return _join(rounds), cursor - found


def _walk(
    measure: MeasureProbability,
    start_probability: np.ndarray,
    candidates: Sequence[Candidates],
    start: np.ndarray,
    place: np.ndarray,
    grid_std: np.ndarray,
    min_effect: float,
    on_end: Callable[[int], None],
) -> Walks:
    """Walk along the given candidates; those without effect are left out."""
    chosen = list(zip(start, place, strict=True))
    dimension = np.array([candidates[index].dimension[row] for index, row in chosen], np.int64)
    step = np.array([candidates[index].step[row] for index, row in chosen], float)
    movable = step != 0
    start, place, dimension, step = start[movable], place[movable], dimension[movable], step[movable]
    crossings = find_crossings(
        lambda walks, shift_std: measure(start[walks], dimension[walks], step[walks] * shift_std),
        start_probability[start],
        grid_std,
        level=LEVEL,
        tolerance=TOLERANCE,
        on_arrival=on_end,
    )
    walks = Walks(start, place, dimension, step, crossings.position, crossings.value, crossings.reached)
    idle = ~crossings.reached & (crossings.largest_change < min_effect)
    on_end(int(np.count_nonzero(~crossings.reached & ~idle)))
    return walks.select(~idle)


def _join(rounds: Sequence[Walks]) -> Walks:
    """All rounds as one, in order of start and place."""
    if not rounds:
        whole, real = np.zeros(0, np.int64), np.zeros(0)
        return Walks(whole, whole, whole, real, real, real, np.zeros(0, bool))
    joined = Walks(*(np.concatenate([getattr(part, field.name) for part in rounds]) for field in fields(Walks)))
    return joined.select(np.lexsort((joined.place, joined.start)))


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
