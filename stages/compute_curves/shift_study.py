"""All curves of accuracy against shift for one classifier: the whole population, every class, and random dimensions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stages.compute_curves.area import measure_shift_area, measure_shift_slope
from stages.compute_curves.bootstrap import find_band, resample_means
from stages.compute_curves.curve import count_accuracy
from stages.compute_curves.results import Key, Result, pool_draws
from stages.compute_curves.trend import check_steps, count_rises
from stages.shift_samples.ranking import ALL
from stages.shift_samples.shifted import OWN_CLASS, RANDOM, TOP, Shifted


def study_shifts(
    classifier: str, shifted: Shifted, true_class: np.ndarray, class_names: Sequence[str], counts: np.ndarray
) -> list[Result]:
    """The curves of samples moved along the top dimensions together, and along random ones; see `shift_samples`.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  true_class: int64 [N], of the moved samples.  counts: [R, N], bootstrap replicates of them.
    """

    def summarize(scope: str, way: int, rows: np.ndarray) -> Result:
        key = Key(classifier, "shift", scope, "top", str(shifted.dimensions), "standardised", "none")
        right, read = shifted.classifier[way][:, rows], shifted.judge[way][:, rows]
        return summarize_steps(key, shifted.shifts_std, right, read, counts[:, rows])

    results = [summarize(ALL, TOP, np.arange(len(true_class)))]
    for label, name in enumerate(class_names):
        results.append(summarize(name, OWN_CLASS, np.flatnonzero(true_class == label)))
    draws = [np.flatnonzero(shifted.draw == draw) for draw in np.unique(shifted.draw)]
    random = replace(results[0].key, dimensions="random")
    pooled = pool_draws(random, [replace(summarize(ALL, RANDOM, rows), band=None) for rows in draws])
    # Unlike bins of distance, draws hold different samples here: one test over all of them.
    trend = check_steps(shifted.shifts_std, shifted.classifier[RANDOM])
    return [*results, replace(pooled, trend_p_value=trend)]


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
