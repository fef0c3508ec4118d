"""All curves of accuracy against shift for one classifier: the whole population, every class, and random dimensions."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stages.compute_curves.area import measure_shift_area, measure_shift_slope
from stages.compute_curves.curve import count_accuracy
from stages.compute_curves.ranking import Order
from stages.compute_curves.results import ALL, Key, Result, pool_draws
from stages.compute_curves.shift import Predict, build_move, measure_shifts


def study_shifts(
    classifier: str,
    predict: Predict,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Sequence[np.ndarray],
    shifts_std: np.ndarray,
) -> Iterator[Result]:
    """Yield the curves of samples moved along the top dimensions together, each against the gradient's sign.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  The control moves along random dimensions, each also against its global gradient's sign, so that only
    the choice of dimensions differs; every sample takes part in one draw, so that both curves rest on all samples.

    styles: [N, D] float32, balanced in every run of samples.  true_class: [N] int64.  std: [D].  orders: as in
    `study_distances`.  random_sets: sets of as many dimensions as are moved.  shifts_std: [T].
    """
    k = len(random_sets[0])

    def key(scope: str, dimensions: str) -> Key:
        return Key(classifier, "shift", scope, dimensions, str(k), "standardised", "none")

    def summarize(scope: str, correct: np.ndarray) -> Result:
        curve = count_accuracy(shifts_std, correct)
        slope = measure_shift_slope(shifts_std, correct)
        return Result(key(scope, "top"), curve, measure_shift_area(shifts_std, correct), slope)

    moves = {scope: build_move(order.dimensions[:k], order.direction, std) for scope, order in orders.items()}
    yield summarize(ALL, measure_shifts(predict, styles, moves[ALL], true_class, shifts_std))

    class_names = [scope for scope in orders if scope != ALL]
    own = np.stack([moves[name] for name in class_names])[true_class]
    correct = measure_shifts(predict, styles, own, true_class, shifts_std)
    for label, name in enumerate(class_names):
        yield summarize(name, correct[:, true_class == label])

    draws = np.array_split(np.arange(len(styles)), len(random_sets))
    control = np.zeros_like(styles)
    for rows, dimensions in zip(draws, random_sets, strict=True):
        control[rows] = build_move(dimensions, orders[ALL].direction, std)
    correct = measure_shifts(predict, styles, control, true_class, shifts_std)
    parts = [correct[:, rows] for rows in draws]
    yield pool_draws(
        key(ALL, "random"),
        [count_accuracy(shifts_std, part) for part in parts],
        [measure_shift_area(shifts_std, part) for part in parts],
        [measure_shift_slope(shifts_std, part) for part in parts],
    )
