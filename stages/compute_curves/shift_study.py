"""All curves of accuracy against shift for one classifier: the whole population, every class, and random dimensions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stages.compute_curves.area import measure_shift_area, measure_shift_slope
from stages.compute_curves.bootstrap import Resampling, band_shares, resample_means
from stages.compute_curves.curve import count_accuracy
from stages.compute_curves.ranking import Order
from stages.compute_curves.results import ALL, Key, Result, pool_draws
from stages.compute_curves.shift import Predict, build_move, measure_shifts
from stages.compute_curves.trend import check_steps, count_rises


@dataclass(frozen=True)
class ShiftStudy:
    """The curves, and whether the classifier is right after each shift along the global top dimensions: bool [T, N]."""

    results: list[Result]
    correct: np.ndarray


def study_shifts(
    classifier: str,
    predict: Predict,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Sequence[np.ndarray],
    shifts_std: np.ndarray,
    resampling: Resampling,
) -> ShiftStudy:
    """Measure the curves of samples moved along the top dimensions together, each against the gradient's sign.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  The control moves along random dimensions, each also against its global gradient's sign, so that only
    the choice of dimensions differs; every sample takes part in one draw, so that both curves rest on all samples.

    predict: styles [N, D] -> classes [2, N] that the classifier and the judge see.  styles: [N, D] float32, balanced
    in every run of samples.  true_class: [N] int64.  std: [D].  orders: as in `study_distances`.  random_sets: sets of
    as many dimensions as are moved.  shifts_std: [T], from 0.  resampling: of the samples and
    of the random sets.
    """
    k = len(random_sets[0])

    def summarize(scope: str, measured: np.ndarray, rows: np.ndarray) -> Result:
        key = Key(classifier, "shift", scope, "top", str(k), "standardised", "none")
        return summarize_steps(key, shifts_std, measured[:, 0, rows], measured[:, 1, rows], resampling.counts[:, rows])

    everything = np.arange(len(styles))
    moves = {scope: build_move(order.dimensions[:k], order.direction, std) for scope, order in orders.items()}
    unmoved = predict(styles) == true_class  # where all three start from

    def measure(move: np.ndarray) -> np.ndarray:
        return np.concatenate([unmoved[None], measure_shifts(predict, styles, move, true_class, shifts_std[1:])])

    together = measure(moves[ALL])
    results = [summarize(ALL, together, everything)]

    class_names = [scope for scope in orders if scope != ALL]
    own = np.stack([moves[name] for name in class_names])[true_class]
    measured = measure(own)
    for label, name in enumerate(class_names):
        results.append(summarize(name, measured, np.flatnonzero(true_class == label)))

    draws = np.array_split(everything, len(random_sets))
    control = np.zeros_like(styles)
    for rows, dimensions in zip(draws, random_sets, strict=True):
        control[rows] = build_move(dimensions, orders[ALL].direction, std)
    measured = measure(control)
    random = replace(results[0].key, dimensions="random")
    # Unlike bins of distance, draws hold different samples here: what samples add to the spread is in that of the
    # draws already, and one test is over all of them.
    pooled = pool_draws(random, [summarize(ALL, measured, rows) for rows in draws], resampling.select(slice(0)))
    results.append(replace(pooled, trend_p_value=check_steps(shifts_std, measured[:, 0])))
    return ShiftStudy(results, together[:, 0])


def summarize_steps(
    key: Key, shifts_std: np.ndarray, correct: np.ndarray, judged: np.ndarray, counts: np.ndarray
) -> Result:
    """Accuracy of the classifier and of the judge after each shift of the same samples; correct, judged: bool [T, N].

    counts: [R, N], of `draw_counts`.
    """
    curve = count_accuracy(shifts_std, correct)
    band = None
    if correct.shape[1]:
        replicates = resample_means(correct, np.ones(correct.shape, bool), counts)
        band = band_shares(curve.accuracy, curve.n, replicates)
    return Result(
        key,
        curve,
        measure_shift_area(shifts_std, correct),
        measure_shift_slope(shifts_std, correct),
        count_accuracy(shifts_std, judged),
        measure_shift_area(shifts_std, judged),
        measure_shift_area(shifts_std, judged & ~correct),
        check_steps(shifts_std, correct),
        count_rises(curve),
        np.empty((len(shifts_std), 0), np.float32),
        band,
    )
