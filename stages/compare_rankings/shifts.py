"""Held-out samples moved along the leading directions of each method together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.judges.verdicts import give_verdicts
from stages.compare_rankings.methods import Method, join_steps, spread_groups
from stages.compare_rankings.outputs import Reader


@dataclass(frozen=True)
class Outcome:
    """What became of N samples.

    probability: [N] float64, the classifier's of the true class.  correct: [N] bool.  verdict: [N] int64, on the
    moved image (see `give_verdicts`), or None where the judge was not asked.
    """

    probability: np.ndarray
    correct: np.ndarray
    verdict: np.ndarray | None = None


Cell = tuple[str, int, float]  # label of the method, directions moved together, shift in std


def judge_outcome(softmax: np.ndarray, true_class: np.ndarray, verdict: np.ndarray | None = None) -> Outcome:
    """Outcome from class probabilities [N, C]."""
    return Outcome(softmax[np.arange(len(softmax)), true_class], softmax.argmax(axis=1) == true_class, verdict)


def move_together(method: Method, styles: np.ndarray, std: np.ndarray, k: int, shift_std: float) -> np.ndarray:
    """Styles [N, D] float32 moved along the first k directions of a method."""
    moves = spread_groups(join_steps(method.steps, k), len(styles)) * std
    return np.asarray(styles + (shift_std * moves).astype(np.float32))


def measure_shifts(
    reader: Reader,
    methods: Sequence[Method],
    cells: Mapping[str, Sequence[tuple[int, float]]],
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    judged: tuple[int, float] | None = None,
    confidence: float = 0.8,
    on_cell: Callable[[int], None] = lambda _: None,
) -> dict[Cell, Outcome]:
    """The outcome of every cell of every method on the same samples.

    cells: label of a method -> its (k, shift in std).  styles: [N, D] float32.  true_class: [N] int64.  std: [D].
    judged: the cell in which the judge is asked too, at that confidence.  on_cell: told the number of samples after
    each. Methods that choose the same directions share one measurement.
    """
    outcomes: dict[Cell, Outcome] = {}
    known: dict[bytes, Outcome] = {}
    for method in methods:
        for cell in cells[method.label]:
            moved = move_together(method, styles, std, *cell)
            key = bytes([cell == judged]) + moved.tobytes()
            if key not in known:
                if cell == judged:
                    softmax, opinion = reader.both(moved)
                    verdicts = give_verdicts(opinion, true_class, softmax.argmax(axis=1), confidence)
                    known[key] = judge_outcome(softmax, true_class, verdicts)
                else:
                    known[key] = judge_outcome(reader.classifier(moved), true_class)
            outcomes[method.label, *cell] = known[key]
            on_cell(len(styles))
    return outcomes


def select_cell(outcomes: Mapping[Cell, Outcome], cell: tuple[int, float]) -> dict[str, Outcome]:
    """The outcomes of one cell: label -> outcome."""
    return {label: outcome for (label, *rest), outcome in outcomes.items() if tuple(rest) == cell}
