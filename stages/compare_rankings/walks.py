"""Walks from the class means along single directions in steps of one std: where they first fall to 0.50."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.judges.verdicts import give_verdicts
from stages.compare_rankings.methods import Method, single_steps

LEVEL = 0.5  # the true-class softmax at a corner case

Read = Callable[[np.ndarray], np.ndarray]  # styles [N, D] float32 -> class probabilities [N, C] float64


@dataclass(frozen=True)
class CoarseWalks:
    """S starts by M directions.

    reached_std: [S, M], the first whole std at which the softmax is 0.50 or less; inf where it never is.
    verdict: [S, M] int64, on the image there (see `give_verdicts`); -1 where there is none.
    """

    reached_std: np.ndarray
    verdict: np.ndarray

    def select(self, columns: np.ndarray) -> "CoarseWalks":
        """The walks along some of the directions; columns: [K] int64."""
        return CoarseWalks(self.reached_std[:, columns], self.verdict[:, columns])


def collect_directions(methods: Sequence[Method], count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first directions of all methods, each once: steps [M, D] in stds, and label -> columns [K] int64 of them.

    Directions of length 0 are left out: nobody can walk along them.
    """
    places: dict[bytes, int] = {}
    steps: list[np.ndarray] = []
    columns: dict[str, np.ndarray] = {}
    for method in methods:
        own = [step for step in single_steps(method, count) if step.any()]
        for step in own:
            if places.setdefault(step.tobytes(), len(steps)) == len(steps):
                steps.append(step)
        columns[method.label] = np.array([places[step.tobytes()] for step in own], np.int64)
    dimensions = methods[0].steps.shape[2]
    return np.array(steps).reshape(-1, dimensions), columns


def walk_coarsely(
    read: Read,
    judge: Read,
    starts: np.ndarray,
    true_class: np.ndarray,
    moves: np.ndarray,
    *,
    max_shift_std: int,
    confidence: float,
    on_end: Callable[[int], None] = lambda _: None,
) -> CoarseWalks:
    """Follow all directions from all starts at once, only those under way.

    starts: [S, D] float32.  true_class: [S] int64.  moves: [M, D], one std each in raw style units.  A dip between two
    whole stds is not seen.  on_end: told how many walks have just ended.
    """
    start, move = (index.ravel() for index in np.indices((len(starts), len(moves))))
    reached, predicted = np.full(len(start), np.inf), np.full(len(start), -1, np.int64)
    under_way = np.arange(len(start))
    for step in range(1, max_shift_std + 1):
        if not under_way.size:
            break
        softmax = read(_place(starts, moves, start[under_way], move[under_way], np.full(len(under_way), step)))
        fallen = softmax[np.arange(len(under_way)), true_class[start[under_way]]] <= LEVEL
        reached[under_way[fallen]] = step
        predicted[under_way[fallen]] = softmax[fallen].argmax(axis=1)
        on_end(int(fallen.sum()))
        under_way = under_way[~fallen]
    on_end(len(under_way))
    verdict = np.full(len(start), -1, np.int64)
    ends = np.flatnonzero(np.isfinite(reached))
    if ends.size:
        opinion = judge(_place(starts, moves, start[ends], move[ends], reached[ends]))
        verdict[ends] = give_verdicts(opinion, true_class[start[ends]], predicted[ends], confidence)
    shape = (len(starts), len(moves))
    return CoarseWalks(reached.reshape(shape), verdict.reshape(shape))


def _place(
    starts: np.ndarray, moves: np.ndarray, start: np.ndarray, move: np.ndarray, shift_std: np.ndarray
) -> np.ndarray:
    return np.asarray(starts[start] + (shift_std[:, None] * moves[move]).astype(np.float32))
