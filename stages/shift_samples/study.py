"""Samples moved in three ways: along the top dimensions of all, along those of their class, and along random ones."""

from collections.abc import Mapping, Sequence

import numpy as np

from failure_atlas.curves.shift import Predict, build_move, measure_shifts
from stages.common.artefacts.ranking import ALL, Order
from stages.common.artefacts.shifts import Shifted


def study_shifts(
    predict: Predict,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Sequence[np.ndarray],
    shifts_std: np.ndarray,
) -> Shifted:
    """Move every sample along several dimensions together, each against the gradient's sign, and ask who is right.

    `top` moves along the global ranking's dimensions, `class` along those of the sample's own class. `random` moves
    along random dimensions, each also against its global gradient's sign, so that only the choice of dimensions
    differs; every sample takes part in one draw, so that all three ways rest on all samples.

    predict: styles [N, D] -> classes [2, N] that the classifier and the judge see.  styles: [N, D] float32, balanced
    in every run of samples.  true_class: [N] int64.  std: [D].  orders: `all` and each class's name in the order of
    the labels -> its ranking.  random_sets: sets of as many dimensions as are moved.  shifts_std: [T], from 0.
    """
    k = len(random_sets[0])
    moves = {scope: build_move(order.dimensions[:k], order.direction, std) for scope, order in orders.items()}
    own = np.stack([move for scope, move in moves.items() if scope != ALL])[true_class]
    draw = np.empty(len(styles), np.int64)
    control = np.zeros_like(styles)
    for place, rows in enumerate(np.array_split(np.arange(len(styles)), len(random_sets))):
        draw[rows] = place
        control[rows] = build_move(random_sets[place], orders[ALL].direction, std)

    unmoved = predict(styles) == true_class  # where all three start from

    def measure(move: np.ndarray) -> np.ndarray:
        return np.concatenate([unmoved[None], measure_shifts(predict, styles, move, true_class, shifts_std[1:])])

    right = np.stack([measure(move) for move in (moves[ALL], own, control)])
    return Shifted(shifts_std, right[:, :, 0], right[:, :, 1], draw, k)
