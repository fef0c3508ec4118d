"""Which directions the explorer offers, and where along them the classifier is in doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.walks.bisection import halve_brackets
from failure_atlas.walks.probe import Probe, move_styles
from failure_atlas.walks.walks import LEVEL, TOLERANCE
from stages.common.artefacts.walks import choose_candidates


@dataclass(frozen=True)
class Move:
    """One direction from the mean style of one class.

    true_class: index.  step: one std in raw style units, with the sign that lowers the true class's score.
    """

    true_class: int
    dimension: int
    step: float

    @property
    def direction(self) -> int:
        """1 where the dimension rises, -1 where it falls."""
        return 1 if self.step > 0 else -1


def choose_moves(ranking: pd.DataFrame, class_names: Sequence[str], dimensions: int, wanted: int) -> list[list[Move]]:
    """The first `wanted` directions of each class's own ranking, leaving out dimensions that cannot be moved.

    ranking: as rank_dimensions leaves it.  dimensions: D of the generator.
    Raises StageError if the ranking lacks a class or ranks another number of dimensions.
    """
    classes = np.arange(len(class_names))
    candidates = choose_candidates(ranking, "class", classes, class_names, dimensions)
    chosen = []
    for true_class, own in enumerate(candidates):
        movable = np.flatnonzero(own.step)[:wanted]
        chosen.append([Move(true_class, int(own.dimension[row]), float(own.step[row])) for row in movable])
    return chosen


def locate_crossings(
    probe: Probe, means: np.ndarray, moves: Sequence[Move], shifts_std: np.ndarray, traced: np.ndarray
) -> Mapping[Move, float]:
    """How many std along each move the true class's softmax first falls to 0.50; moves that never get there are absent.

    means: [C, D] float32, one style vector per class.  shifts_std: [F], from 0.  traced: [M, F], the true class's
    softmax after each shift. The step in which it first falls is bisected; a class whose mean is in doubt already has
    no crossing.
    """
    start = means[[move.true_class for move in moves]]
    true_class = np.array([move.true_class for move in moves], np.int64)
    dimension = np.array([move.dimension for move in moves], np.int64)
    step = np.array([move.step for move in moves])
    fallen = traced <= LEVEL
    first = fallen.argmax(axis=1)  # 0 where the mean is in doubt, and where the softmax never falls
    rows = np.flatnonzero(first)
    before, position = shifts_std[np.maximum(first - 1, 0)].astype(float), shifts_std[first].astype(float)
    value = traced[np.arange(len(moves)), first].astype(float)

    def measure(own: np.ndarray, shift_std: np.ndarray) -> np.ndarray:
        return probe.measure(move_styles(start[own], dimension[own], step[own] * shift_std), true_class[own])

    halve_brackets(measure, rows, before, position, value, level=LEVEL, tolerance=TOLERANCE)
    return {moves[row]: float(position[row]) for row in rows.tolist()}
