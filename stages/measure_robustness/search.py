"""All walks from all starts: jointly, along single dimensions, and in greedy sets."""

from dataclasses import dataclass

import numpy as np

from failure_atlas.core.progress import Progress
from stages.measure_robustness.greedy_set import find_sets
from stages.measure_robustness.joint_walk import walk_jointly, walk_on
from stages.measure_robustness.single_walk import Candidates, move_single, walk_singly
from stages.measure_robustness.std_space import StdSpace

BEYOND_STD = 1.0  # how far a joint walk goes on past 0.50


@dataclass(frozen=True)
class Moves:
    """Moves of N starts by one rule. offset: [N, D] in std, 0 where a start was not walked.

    length_std: [N], along the way.  reached: [N] bool, whether the true-class softmax fell to 0.50; true with length 0
    where it was there from the start.
    """

    offset: np.ndarray
    length_std: np.ndarray
    reached: np.ndarray


@dataclass(frozen=True)
class Found:
    """What was found from N starts; a start whose true-class softmax is 0.50 or less is not walked.

    joint, single, sets: where the joint walk, the shortest single-dimension walk and the greedy set ended.
    beyond: the joint walk, 1 std farther.  top_std, top_reached: [N], along the top dimension of the class.
    single_dimension: [N] int64, -1 where none arrived.  searched: [N] bool, for which a greedy set was looked for.
    pruned: [N] int64, dimensions that the greedy search dropped again.
    """

    walked: np.ndarray
    joint: Moves
    beyond: Moves
    single: Moves
    single_dimension: np.ndarray
    top_std: np.ndarray
    top_reached: np.ndarray
    sets: Moves
    searched: np.ndarray
    pruned: np.ndarray


def search_failures(
    space: StdSpace,
    walked: np.ndarray,
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

    walked, searched: [N] bool; what is searched must be walked.  candidates: of all N starts.
    The other arguments are those of `walk_jointly`, `walk_singly` and `find_sets`.
    """
    rows = np.flatnonzero(walked)
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
        arrived = np.flatnonzero(joint.reached)
        farther = joint.offset.copy()
        farther[arrived] = walk_on(
            part.differentiate, arrived, joint.offset[arrived], step_std=step_std, length_std=BEYOND_STD
        )
    own = Candidates(candidates.dimension[rows], candidates.direction[rows])
    with Progress("single-dimension walks", len(rows), "starts") as progress:
        single = walk_singly(
            part.measure,
            own,
            dimensions,
            step_std=single_step_std,
            max_shift_std=single_max_shift_std,
            on_end=progress.advance,
        )
    best = np.arange(len(rows)), single.best_place
    short = np.isfinite(single.best_std)
    signed = own.direction[best] * np.where(short, single.best_std, 0)
    set_rows = np.flatnonzero(searched)
    with Progress("greedy sets", len(set_rows), "starts") as progress:
        set_part = space.select(set_rows)
        sets = find_sets(
            set_part.measure,
            set_part.differentiate,
            len(set_rows),
            dimensions,
            budget_std=budget_std,
            step_std=step_std,
            most_dimensions=most_dimensions,
            on_end=progress.advance,
        )

    def spread(values: np.ndarray, at: np.ndarray, fill: float) -> np.ndarray:
        whole = np.full((len(walked), *values.shape[1:]), fill, values.dtype)
        whole[at] = values
        return whole

    def moves(offset: np.ndarray, length_std: np.ndarray, reached: np.ndarray, at: np.ndarray = rows) -> Moves:
        whole = spread(reached, at, fill=False)
        whole[~walked] = True
        return Moves(spread(offset, at, 0), spread(length_std, at, 0), whole)

    past = joint.path_std + BEYOND_STD * joint.reached
    single_std = np.where(short, single.best_std, single_max_shift_std)
    top_short = np.isfinite(single.top_std)
    return Found(
        walked=walked,
        joint=moves(joint.offset, joint.path_std, joint.reached),
        beyond=moves(farther, past, joint.reached),
        single=moves(move_single(own.dimension[best], signed, dimensions), single_std, short),
        single_dimension=spread(np.where(short, own.dimension[best], -1), rows, -1),
        top_std=spread(np.where(top_short, single.top_std, single_max_shift_std), rows, 0),
        top_reached=spread(top_short, rows, fill=True),
        sets=moves(sets.offset, np.abs(sets.offset).sum(axis=1), sets.reached, set_rows),
        searched=searched,
        pruned=spread(sets.pruned, set_rows, 0),
    )
