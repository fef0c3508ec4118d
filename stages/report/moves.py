"""Which directions the explorer offers, what is seen along them, and where the classifier is in doubt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from failure_atlas.walks.crossing import LEVEL, halve_brackets
from failure_atlas.world.show import JUDGE, World, move_styles
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
    chosen = choose_candidates(ranking, "class", classes, class_names, dimensions).first_movable(wanted)
    return [
        [
            Move(label, int(own), float(by))
            for own, by in zip(chosen.dimension[label], chosen.step[label], strict=True)
            if by
        ]
        for label in classes.tolist()
    ]


@dataclass(frozen=True)
class Frames:
    """images: [F, channels, H, W] uint8.  softmax: [F, C] float64 by classifier.  judge: [F, C] float64."""

    images: np.ndarray
    softmax: Mapping[str, np.ndarray]
    judge: np.ndarray


def trace_moves(
    world: World,
    means: np.ndarray,
    moves: Sequence[Move],
    shifts_std: np.ndarray,
    *,
    advance: Callable[[int], object] = lambda _: None,
) -> list[Frames]:
    """Frames of each move, in order; all networks see the unrounded image, the page shows it in bytes.

    world: with the classifiers by name, and the judge.  means: [C, D] float32, one style vector per class.
    shifts_std: [F], 0 or more.  advance: told how many images have just been made.
    """
    if not moves:
        return []
    count = len(shifts_std)
    start, _, dimension, step = (np.repeat(each, count, axis=0) for each in _collect(means, moves))
    shown = world.show(move_styles(start, dimension, step * np.tile(shifts_std, len(moves))), advance=advance)
    softmax = {name: shown.softmax(name) for name in world.networks}
    judge = softmax.pop(JUDGE)
    spans = [slice(first * count, (first + 1) * count) for first in range(len(moves))]
    return [
        Frames(shown.images[span], {name: said[span] for name, said in softmax.items()}, judge[span]) for span in spans
    ]


def locate_crossings(
    world: World, classifier: str, means: np.ndarray, moves: Sequence[Move], shifts_std: np.ndarray, traced: np.ndarray
) -> Mapping[Move, float]:
    """How many std along each move the true class's softmax first falls to 0.50; moves that never get there are absent.

    classifier: its name in the world.  means: [C, D] float32.  shifts_std: [F], from 0.  traced: [M, F], the true
    class's softmax after each shift. The step in which it first falls is bisected; a class whose mean is in doubt
    already has no crossing.
    """
    start, true_class, dimension, step = _collect(means, moves)
    fallen = traced <= LEVEL
    first = fallen.argmax(axis=1)  # 0 where the mean is in doubt, and where the softmax never falls
    rows = np.flatnonzero(first)
    before, position = shifts_std[np.maximum(first - 1, 0)].astype(float), shifts_std[first].astype(float)
    value = traced[np.arange(len(moves)), first].astype(float)

    def measure(own: np.ndarray, shift_std: np.ndarray) -> np.ndarray:
        styles = move_styles(start[own], dimension[own], step[own] * shift_std)
        return world.show(styles, [classifier], keep_images=False).score(true_class[own], classifier)

    halve_brackets(measure, rows, before, position, value)
    return {moves[row]: float(position[row]) for row in rows.tolist()}


def _collect(means: np.ndarray, moves: Sequence[Move]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start [M, D], true class [M], dimension [M] and step [M] of moves."""
    true_class = np.array([move.true_class for move in moves], np.int64)
    dimension = np.array([move.dimension for move in moves], np.int64)
    return means[true_class], true_class, dimension, np.array([move.step for move in moves])
