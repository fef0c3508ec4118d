"""All curves of one classifier: accuracy against distance, projection and shift, beside the judge's (figure 6).

Along the top dimensions of the ranking, over all samples and for each class, and along random dimensions as a control.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from failure_atlas.curves import curve as curves
from failure_atlas.curves.distance import (
    CENTRES,
    SCALINGS,
    find_centres,
    measure_deviations,
    measure_distances,
    project,
)
from failure_atlas.curves.shift import ALL, OWN_CLASS, RANDOM, TOP, Order, Shifted
from failure_atlas.statistics.bootstrap import Resampling, band_draws, band_shares, resample_influence, resample_means
from failure_atlas.statistics.estimates import mean


@dataclass(frozen=True)
class Key:
    """What a curve is of, in the words of curves.csv.

    kind: distance | projection | shift.  scope: all, or a class.  dimensions: top | random.  k: a number, or all.
    scaling: raw | standardised.  centre: own_class | all, or none for a shift.
    """

    classifier: str
    kind: str
    scope: str = ALL
    dimensions: str = "top"
    k: str = "all"
    scaling: str = "standardised"
    centre: str = "own_class"


@dataclass(frozen=True)
class Result:
    """A curve with its area and slope, each {value, low, high, n}; for random dimensions also min and max.

    ceiling: the judge's accuracy on the same images, with the area under it.  avoidable_area: that under the share of
    images that the judge reads and the classifier does not; unlike the difference of the two areas it cannot be
    negative.  trend_p_value: of the test that the curve falls; rise: its surest one, which speaks against that.
    influence: float32 [B, N], what one of the N samples more adds to each point; N is 0 for a shift.
    band: (low, high) [B], which hold the whole curve at once, where low and high of the curve are of each point by
    itself; None for one draw of several, which have it together.
    """

    key: Key
    curve: curves.Curve
    area: dict[str, Any]
    slope: dict[str, Any]
    ceiling: curves.Curve
    ceiling_area: dict[str, Any]
    avoidable_area: dict[str, Any]
    trend_p_value: float
    rise: curves.Rise
    influence: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None


def select(results: Sequence[Result], **wanted: str) -> list[Result]:
    """Results whose key has the wanted values."""
    return [result for result in results if all(getattr(result.key, name) == value for name, value in wanted.items())]


def summarize_bins(
    key: Key,
    distance: np.ndarray,
    well: np.ndarray,
    judged: np.ndarray,
    bins: int,
    tail_quantile: float,
    counts: np.ndarray | None = None,
) -> Result:
    """Accuracy of the classifier and of the judge in the same bins; well, judged: bool [N], who is right.

    distance, bins, tail_quantile: as for `bin_accuracy`.  counts: [R, N], of `draw_counts`, for the band, in
    which bins keep their samples; None for a draw among several, which are banded together.
    """
    parts = curves.split_bins(distance, bins, tail_quantile)
    curve, ceiling, avoidable = (curves.count_bins(distance, each, parts) for each in (well, judged, judged & ~well))
    influence = np.zeros((len(parts), len(distance)), np.float32)
    for row, part, accuracy in zip(influence, parts, curve.accuracy, strict=True):
        row[part] = (well[part] - accuracy) / len(part)
    band = None
    if counts is not None:
        band = band_shares(curve.accuracy, curve.n, resample_influence(curve.accuracy, influence, counts))
    area, slope = curves.measure_area(curve), curves.measure_slope(curve)
    trend, rise = curves.check_bins(curve), curves.find_bin_rise(curve)
    ceiling_area, avoidable_area = curves.measure_area(ceiling), curves.measure_area(avoidable)
    return Result(key, curve, area, slope, ceiling, ceiling_area, avoidable_area, trend, rise, influence, band)


def summarize_steps(
    key: Key, shifts_std: np.ndarray, correct: np.ndarray, judged: np.ndarray, counts: np.ndarray
) -> Result:
    """Accuracy of the classifier and of the judge after each shift of the same samples; correct, judged: bool [T, N].

    counts: [R, N], of `draw_counts`.
    """
    curve, ceiling = curves.count_accuracy(shifts_std, correct), curves.count_accuracy(shifts_std, judged)
    band = None
    if correct.shape[1]:
        replicates = resample_means(correct, np.ones(correct.shape, bool), counts)
        band = band_shares(curve.accuracy, curve.n, replicates)
    area, ceiling_area, avoidable_area = (
        curves.measure_shift_area(shifts_std, each) for each in (correct, judged, judged & ~correct)
    )
    slope, trend = curves.measure_shift_slope(shifts_std, correct), curves.check_steps(shifts_std, correct)
    rise, nothing = curves.find_step_rise(curve, correct), np.empty((len(shifts_std), 0), np.float32)
    return Result(key, curve, area, slope, ceiling, ceiling_area, avoidable_area, trend, rise, nothing, band)


def pool_draws(key: Key, draws: Sequence[Result], resampling: Resampling) -> Result:
    """One result of several random draws: their means with Student's interval over the draws, and their range.

    resampling: of the samples and the draws, for the band, which is over both.
    P-values, of the trend and of the surest rise, are the medians of the draws'; their rises lie at different points.
    """

    def pool(name: str) -> dict[str, Any]:
        values = np.array([getattr(draw, name)["value"] for draw in draws])
        return mean(values) | {"min": float(values.min()), "max": float(values.max())}

    curve = curves.average_curves([draw.curve for draw in draws])
    influence = np.mean([draw.influence for draw in draws], axis=0)
    shares = np.stack([draw.curve.accuracy for draw in draws])
    return Result(
        key,
        curve,
        pool("area"),
        pool("slope"),
        curves.average_curves([draw.ceiling for draw in draws]),
        pool("ceiling_area"),
        pool("avoidable_area"),
        float(np.median([draw.trend_p_value for draw in draws])),
        curves.Rise(float("nan"), float("nan"), float(np.median([draw.rise.p_value for draw in draws]))),
        influence,
        band_draws(shares, len(draws) * curve.n, influence, resampling),
    )


def study_bins(
    classifier: str,
    styles: np.ndarray,
    true_class: np.ndarray,
    well: np.ndarray,
    judged: np.ndarray,
    std: np.ndarray,
    orders: Mapping[str, Order],
    random_sets: Mapping[int, Sequence[np.ndarray]],
    resampling: Resampling,
    *,
    top_k: Sequence[int | str],
    bins: int,
    tail_quantile: float,
) -> Iterator[Result]:
    """Yield the curves against distance, of each scaling and centre, and against the projection, of each scope and K.

    styles: [N, D].  true_class: [N] int64.  well, judged: bool [N], whether classifier and judge are right.  std: [D].
    orders: `all` and each class's name in the order of the labels -> its ranking.  random_sets: K -> sets of K
    dimensions, which keep the direction of the order, so that only their choice differs.  resampling: of the N samples
    and of as many draws as there are random sets of each size.  top_k: numbers, or `all`.  The projection is
    standardised, from the well-classified centre of the own class; the tail that is cut is the far degraded end.
    """
    names = [scope for scope in orders if scope != ALL]
    rows = {ALL: np.ones(len(well), bool)} | {name: true_class == label for label, name in enumerate(names)}
    drawn = {scope: resampling.select(own) for scope, own in rows.items()}

    def trace(key: Key, deviations: np.ndarray, place: Callable[..., np.ndarray]) -> Iterator[Result]:
        for scope, order in orders.items():
            own = rows[scope]
            inside, right, readable = deviations[own], well[own], judged[own]
            for k in top_k:
                top = replace(key, scope=scope, k=str(k))
                chosen = order.dimensions if isinstance(k, str) else order.dimensions[:k]
                at = place(inside, chosen, order.direction)
                yield summarize_bins(top, at, right, readable, bins, tail_quantile, drawn[scope].counts)
                if not isinstance(k, str):
                    random = replace(top, dimensions="random")
                    draws = (place(inside, each, order.direction) for each in random_sets[k])
                    pooled = [summarize_bins(random, at, right, readable, bins, tail_quantile) for at in draws]
                    yield pool_draws(random, pooled, drawn[scope])

    for scaling, centre in product(SCALINGS, CENTRES):
        centres = find_centres(styles, true_class, well, len(names), centre)
        deviations = measure_deviations(styles, true_class, centres, None if scaling == "raw" else std)
        key = Key(classifier, "distance", scaling=scaling, centre=centre)
        yield from trace(key, deviations, lambda inside, dimensions, _: measure_distances(inside, dimensions))
    centres = find_centres(styles, true_class, well, len(names), "own_class")
    yield from trace(Key(classifier, "projection"), measure_deviations(styles, true_class, centres, std), project)


def study_shifts(
    classifier: str, shifted: Shifted, true_class: np.ndarray, class_names: Sequence[str], resampling: Resampling
) -> list[Result]:
    """The curves of samples moved along the top dimensions together, and along random ones; see `shift_samples`.

    `all` moves every sample along the global ranking's dimensions, a class moves its own samples along its own
    ranking's.  true_class: int64 [N], of the moved samples.  resampling: of them and of the random sets.
    """

    def summarize(scope: str, way: int, rows: np.ndarray) -> Result:
        key = Key(classifier, "shift", scope, k=str(shifted.dimensions), centre="none")
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
    trend = curves.check_steps(shifted.shifts_std, shifted.classifier[RANDOM])
    return [*results, replace(pooled, trend_p_value=trend)]
