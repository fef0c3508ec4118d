"""How far from failing a set of starts is: by all kinds of walk, and along single dimensions up to true failures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from failure_atlas.core.progress import Progress
from failure_atlas.walks.crossing import LEVEL, space_grid
from failure_atlas.walks.descent import FINE_TOLERANCE, Moves, find_sets, walk_jointly, walk_on
from failure_atlas.walks.single import Candidates, Walks, find_shortest, walk_dimensions
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.true_failures import TrueFailures, find_true_failures

BEYOND_STD = 1.0  # how far a joint walk goes on past 0.50
JOINT, BEYOND, SINGLE, SET = "joint", "beyond", "single", "set"  # where one start leads by each rule


def search_along_dimensions(
    space: StdSpace,
    start_probability: np.ndarray,
    candidates: Candidates,
    *,
    wanted: int,
    min_effect: float,
    grid_std: np.ndarray,
    confidence: float,
) -> tuple[Walks, np.ndarray, TrueFailures]:
    """Walk along single dimensions to 0.50, and on to the first true failure of each walk.

    The arguments, and the dimensions passed over, [S] int64, are those of `walk_dimensions` and `find_true_failures`.
    """
    with Progress("walking", int((start_probability > LEVEL).sum()) * wanted, "walks") as progress:
        walks, skipped = walk_dimensions(
            space.score,
            start_probability,
            candidates,
            wanted=wanted,
            grid_std=grid_std,
            min_effect=min_effect,
            on_end=progress.advance,
        )
    with Progress("looking for true failures", int(walks.reached.sum()), "walks") as progress:
        failures = find_true_failures(
            lambda rows, shift_std: space.weigh(walks.select(rows), shift_std),
            walks.shift_std,
            walks.reached,
            grid_std,
            confidence=confidence,
            on_end=progress.advance,
        )
    return walks, skipped, failures


@dataclass(frozen=True)
class Found:
    """What was found from N starts; a start whose true-class softmax is 0.50 or less is not walked, [N] bool.

    moves: where the joint walk, that walk 1 std farther, the shortest single-dimension walk and the greedy set ended.
    single_dimension: [N] int64, -1 where none arrived.  top_std, top_reached: [N], along the first candidate.
    searched: [N] bool, for which a greedy set was looked for.  pruned: [N] int64, dimensions that it dropped again.
    """

    walked: np.ndarray
    moves: Mapping[str, Moves]
    single_dimension: np.ndarray
    top_std: np.ndarray
    top_reached: np.ndarray
    searched: np.ndarray
    pruned: np.ndarray


def search_failures(
    space: StdSpace,
    start_probability: np.ndarray,
    searched: np.ndarray,
    candidates: Candidates,
    *,
    step_std: float,
    max_shift_std: float,
    single_step_std: float,
    single_max_shift_std: float,
    budget_std: float,
    most_dimensions: int,
) -> Found:
    """Walk from every start that is above 0.50.

    start_probability: [N].  searched: [N] bool, those above 0.50 for which a greedy set is looked for.
    The other arguments are those of `walk_jointly`, `walk_dimensions` and `find_sets`.
    """
    walked = start_probability > LEVEL
    rows, set_rows = np.flatnonzero(walked), np.flatnonzero(searched)
    part, dimensions = space.select(rows), len(space.std)
    with Progress("joint walks", len(rows), "walks") as progress:
        joint = walk_jointly(
            part.measure,
            part.differentiate,
            len(rows),
            dimensions,
            step_std=step_std,
            max_path_std=max_shift_std,
            on_end=progress.advance,
        )
        arrived, farther = np.flatnonzero(joint.reached), joint.offset.copy()
        farther[arrived] = walk_on(
            part.differentiate, arrived, farther[arrived], step_std=step_std, length_std=BEYOND_STD
        )
    beyond = Moves(farther, joint.length_std + BEYOND_STD * joint.reached, joint.reached)
    with Progress("single-dimension walks", int(np.count_nonzero(candidates.step[rows])), "walks") as progress:
        walks, _ = walk_dimensions(
            space.score,
            start_probability,
            candidates,
            wanted=candidates.dimension.shape[1],
            grid_std=space_grid(single_max_shift_std, single_step_std),
            tolerance=FINE_TOLERANCE,
            shortest=True,
            on_end=progress.advance,
        )
    part = space.select(set_rows)
    with Progress("greedy sets", len(set_rows), "starts") as progress:
        sets, pruned = find_sets(
            part.measure,
            part.differentiate,
            len(set_rows),
            dimensions,
            budget_std=budget_std,
            step_std=step_std,
            most_dimensions=most_dimensions,
            on_end=progress.advance,
        )
    best, top = walks.select(find_shortest(walks)), walks.select((walks.place == 0) & walks.reached)
    farthest = np.where(walked, single_max_shift_std, 0.0)
    moves = {
        JOINT: _spread(walked, rows, joint),
        BEYOND: _spread(walked, rows, beyond),
        SINGLE: _move_singly(walked, dimensions, farthest, best),
        SET: _spread(walked, set_rows, sets),
    }
    nothing = np.zeros(len(walked), np.int64)
    return Found(
        walked=walked,
        moves=moves,
        single_dimension=_fill(nothing - 1, best.start, best.dimension),
        top_std=_fill(farthest, top.start, top.shift_std),
        top_reached=_fill(~walked, top.start, True),
        searched=searched,
        pruned=_fill(nothing, set_rows, pruned),
    )


def _move_singly(walked: np.ndarray, dimensions: int, farthest: np.ndarray, best: Walks) -> Moves:
    """The shortest walk of each start as moves of all N; farthest: [N], the length where there is none."""
    offset = np.zeros((len(walked), dimensions))
    offset[best.start, best.dimension] = np.sign(best.step) * best.shift_std
    return Moves(offset, _fill(farthest, best.start, best.shift_std), _fill(~walked, best.start, True))


def _spread(walked: np.ndarray, rows: np.ndarray, moves: Moves) -> Moves:
    """Moves of some starts, as moves of all N; walked: [N] bool."""
    offset = np.zeros((len(walked), moves.offset.shape[1]))
    length = np.zeros(len(walked))
    return Moves(
        _fill(offset, rows, moves.offset), _fill(length, rows, moves.length_std), _fill(~walked, rows, moves.reached)
    )


def _fill(whole: np.ndarray, rows: np.ndarray, values: np.ndarray | bool) -> np.ndarray:
    """A copy with values at some rows."""
    filled = whole.copy()
    filled[rows] = values
    return filled
