"""All curves of accuracy against shift for one classifier: the whole population, every class, and random dimensions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from failure_atlas.curves.curve import count_accuracy, measure_shift_area, measure_shift_slope
from failure_atlas.statistics.bootstrap import Resampling, band_shares, resample_means
from failure_atlas.statistics.trend import check_steps, count_rises
from stages.common.artefacts.ranking import ALL
from stages.common.artefacts.shifts import OWN_CLASS, RANDOM, TOP, Shifted
from stages.compute_curves.results import Key, Result, pool_draws


def study_shifts(
    classifier: str,
    shifted: Shifted,
    true_class: np.ndarray,
    class_names: Sequence[str],
    resampling: Resampling,
) -> list[Result]:
    """The curves of samples moved along the top dimensions together, and along random ones; see `shift_samples`.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  true_class: int64 [N], of the moved samples.  resampling: of them and of the random sets.
    """

    def summarize(scope: str, way: int, rows: np.ndarray) -> Result:
        key = Key(classifier, "shift", scope, "top", str(shifted.dimensions), "standardised", "none")
        right, read = shifted.classifier[way][:, rows], shifted.judge[way][:, rows]
        return summarize_steps(key, shifted.shifts_std, right, read, resampling.counts[:, rows])

    results = [summarize(ALL, TOP, np.arange(len(true_class)))]
    for label, name in enumerate(class_names):
        results.append(summarize(name, OWN_CLASS, np.flatnonzero(true_class == label)))
    draws = [np.flatnonzero(shifted.draw == draw) for draw in np.unique(shifted.draw)]
    random = replace(results[0].key, dimensions="random")
    # Unlike bins of distance, draws hold different samples here: what samples add to the spread is in that of the
    # draws already, and one test is over all of them.
    pooled = pool_draws(random, [summarize(ALL, RANDOM, rows) for rows in draws], resampling.select(slice(0)))
    trend = check_steps(shifted.shifts_std, shifted.classifier[RANDOM])
    return [*results, replace(pooled, trend_p_value=trend)]


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
