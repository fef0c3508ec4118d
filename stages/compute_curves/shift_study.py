"""All curves of accuracy against shift for one classifier: the whole population, every class, and random dimensions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stages.compute_curves.area import measure_shift_area, measure_shift_slope
from stages.compute_curves.bootstrap import find_band, resample_means
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
    counts: np.ndarray,
) -> ShiftStudy:
    """Measure the curves of samples moved along the top dimensions together, each against the gradient's sign.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  The control moves along random dimensions, each also against its global gradient's sign, so that only
    the choice of dimensions differs; every sample takes part in one draw, so that both curves rest on all samples.

    predict: styles [N, D] -> classes [2, N] that the classifier and the judge see.  styles: [N, D] float32, balanced
    in every run of samples.  true_class: [N] int64.  std: [D].  orders: as in `study_distances`.  random_sets: sets of
    as many dimensions as are moved.  shifts_std: [T], from 0.  counts: [R, N], bootstrap replicates
    of the samples.
    """
    k = len(random_sets[0])

    def summarize(scope: str, measured: np.ndarray, rows: np.ndarray) -> Result:
        key = Key(classifier, "shift", scope, "top", str(k), "standardised", "none")
        return summarize_steps(key, shifts_std, measured[:, 0, rows], measured[:, 1, rows], counts[:, rows])

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
    pooled = pool_draws(random, [replace(summarize(ALL, measured, rows), band=None) for rows in draws])
    # Unlike bins of distance, draws hold different samples here: one test over all of them.
    results.append(replace(pooled, trend_p_value=check_steps(shifts_std, measured[:, 0])))
    return ShiftStudy(results, together[:, 0])


def summarize_steps(
    key: Key, shifts_std: np.ndarray, correct: np.ndarray, judged: np.ndarray, counts: np.ndarray
) -> Result:
    """Accuracy of the classifier and of the judge after each shift of the same samples; correct, judged: bool [T, N].

    counts: [R, N], bootstrap replicates; the band's standard errors are those of two successes and two failures more
    (Agresti and Coull 1998), so that no point claims to be certain.
    """
    curve, n = count_accuracy(shifts_std, correct), correct.shape[1]
    band = None
    if n:
        replicates = resample_means(correct, np.ones(correct.shape, bool), counts)
        low, high = find_band(curve.accuracy, _find_error(curve.accuracy, n), replicates, _find_error(replicates, n))
        band = (np.clip(low, 0, 1), np.clip(high, 0, 1))
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
        band,
    )


def _find_error(accuracy: np.ndarray, n: int) -> np.ndarray:
    p = (accuracy * n + 2) / (n + 4)
    return np.asarray(np.sqrt(p * (1 - p) / n))
