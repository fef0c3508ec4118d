"""Bins, areas, slopes, trends and distances against closed forms and slow twins; intervals that cover as they claim."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.curves import curve as curves
from failure_atlas.curves.distance import find_centres, measure_deviations, measure_distances, project
from failure_atlas.statistics.estimates import wilson


def build_curve(x, accuracy, n=100):
    x, accuracy, n = np.asarray(x, float), np.asarray(accuracy, float), np.broadcast_to(n, len(x))
    return curves.Curve(x, accuracy, *wilson(np.rint(accuracy * n), n), n)


def test_two_bins_the_far_tail_and_samples_without_distance():
    curve = curves.bin_accuracy(np.array([4.0, 1, 3, 2]), np.array([False, True, True, True]), 2, 1.0)
    low, high = wilson(np.array([2, 1]), np.array([2, 2]))
    found = [each.tolist() for each in (curve.x, curve.accuracy, curve.n, curve.low, curve.high)]
    assert found == [[1.5, 3.5], [1, 0.5], [2, 2], low.tolist(), high.tolist()]
    curve = curves.bin_accuracy(np.arange(100.0), np.ones(100, bool), 10, 0.9)
    assert (curve.n.sum(), curve.x[-1]) == (90, np.mean(range(81, 90)))
    curve = curves.bin_accuracy(np.array([np.nan, 1, 2, np.nan]), np.array([False, True, True, False]), 2, 1.0)
    assert curve.accuracy.tolist() == [1, 1]
    empty = curves.bin_accuracy(np.full(3, np.nan), np.ones(3, bool), 2, 1.0)
    assert len(empty.x) == len(empty.n) == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), n=st.integers(1, 80), bins=st.integers(2, 12), quantile=st.floats(0.51, 1),
    ties=st.booleans(),
)  # fmt: skip
def test_counts_differ_by_one_at_most_and_nothing_is_lost(seed, n, bins, quantile, ties):
    stream = np.random.default_rng(seed)
    distance = stream.integers(0, 5, n).astype(float) if ties else stream.random(n)
    well = stream.random(n) < 0.7
    curve = curves.bin_accuracy(distance, well, bins, quantile)
    kept = curve.n.sum()
    assert max(1, quantile * n - 1) <= kept <= n
    assert curve.n.max() - curve.n.min() <= 1
    assert len(curve.n) == min(bins, kept)
    assert (np.diff(curve.x) >= 0).all()
    order = np.argsort(distance, kind="stable")[:kept]
    assert (curve.accuracy * curve.n).sum() == pytest.approx(well[order].sum())
    assert (curve.low <= curve.accuracy + 1e-12).all()
    assert (curve.accuracy <= curve.high + 1e-12).all()


def test_steps_hold_the_same_samples_and_draws_are_averaged():
    curve = curves.count_accuracy(np.array([0.0, 1.0]), np.array([[True, True], [True, False]]))
    assert (curve.accuracy.tolist(), curve.n.tolist()) == ([1, 0.5], [2, 2])
    assert np.isnan(curves.count_accuracy(np.array([0.0]), np.empty((1, 0), bool)).accuracy).all()
    mean = curves.average_curves([build_curve([0, x], [1, y], 2) for x, y in ((1, 0.2), (3, 0.6))])
    assert (mean.x.tolist(), mean.accuracy.tolist()) == ([0, 2], pytest.approx([1, 0.4]))
    assert (mean.low.tolist(), mean.high.tolist()) == ([1, 0.2], [1, 0.6])


def test_area_and_slope_of_constant_and_straight_curves():
    curve = build_curve([1, 2, 7], [0.8, 0.8, 0.8])
    assert curves.measure_area(curve)["value"] == pytest.approx(0.8)
    assert curves.measure_slope(curve)["value"] == pytest.approx(0)
    x = np.array([0, 0.5, 2, 5])
    curve = build_curve(x, 0.9 - 0.1 * x)
    assert curves.measure_area(curve)["value"] == pytest.approx((0.9 + 0.4) / 2)
    assert curves.measure_slope(curve)["value"] == pytest.approx(-0.1)


def test_area_and_slope_of_one_point_or_none():
    assert curves.measure_area(build_curve([3], [0.7]))["value"] == pytest.approx(0.7)
    assert np.isnan(curves.measure_slope(build_curve([3], [0.7]))["value"])
    assert np.isnan(curves.measure_area(build_curve([], []))["value"])
    assert curves.measure_slope(build_curve([], []))["n"] == 0
    x, one = np.array([0.0, 1.0]), np.array([[True], [False]])
    assert np.isnan(curves.measure_shift_area(x, np.empty((2, 0), bool))["value"])
    assert (curves.measure_shift_area(x, one)["value"], curves.measure_shift_area(x, one)["n"]) == (0.5, 1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), points=st.integers(2, 12))
def test_weights_agree_with_numpy_and_ignore_the_unit_of_x(seed, points):
    stream = np.random.default_rng(seed)
    x, y = np.sort(stream.random(points)) * 5, stream.random(points)
    assert curves.weigh_area(x) @ y == pytest.approx(np.trapezoid(y, x) / np.ptp(x))
    assert curves.weigh_area(x).sum() == pytest.approx(1)
    assert curves.weigh_area(3 * x + 2) @ y == pytest.approx(curves.weigh_area(x) @ y)
    precision = stream.uniform(1, 9, points)
    fitted = np.polyfit(x, y, 1, w=np.sqrt(precision))[0]
    assert curves.weigh_slope(x, precision) @ y == pytest.approx(fitted, rel=1e-6, abs=1e-9)


def test_area_interval_is_that_of_agresti_and_coull_and_never_certain():
    area = curves.measure_area(build_curve([3], [0.9], n=100))
    p = 92 / 104  # two successes and two failures more
    assert area["high"] - area["value"] == pytest.approx(1.959964 * np.sqrt(p * (1 - p) / 104))
    area = curves.measure_area(build_curve([0, 1, 2], [1, 1, 1], n=20))
    assert area["low"] < area["value"] == area["high"] == 1
    assert area["n"] == 60


def test_intervals_cover_the_truth_as_often_as_they_claim():
    stream = np.random.default_rng(1)
    x, hits = np.linspace(0, 4, 8), np.zeros(4)
    p = 0.95 - 0.1 * x
    # Each sample fails for good beyond a shift of its own: steps are far from independent.
    steps = np.arange(0, 5.5, 0.5)
    falling = np.clip(1 - (steps - 1) / 3, 0, 1)
    truths = (0.75, -0.1, curves.weigh_area(steps) @ falling, curves.weigh_slope(steps, np.ones(len(steps))) @ falling)
    for _ in range(400):
        curve, correct = build_curve(x, stream.binomial(60, p) / 60, 60), steps[:, None] < stream.uniform(1, 4, 80)
        bins = curves.measure_area(curve), curves.measure_slope(curve)
        shifts = curves.measure_shift_area(steps, correct), curves.measure_shift_slope(steps, correct)
        hits += [found["low"] <= truth <= found["high"] for found, truth in zip(bins + shifts, truths, strict=True)]
    np.testing.assert_allclose(hits / 400, 0.95, atol=0.035)


def test_the_trend_over_two_bins_is_the_chi_square_test():
    table = np.array([[45, 5], [30, 20]])
    chi_square = stats.chi2_contingency(table, correction=False).statistic
    for curve, p in (
        (([3], [5 / 9], 9), np.nan), (([3, 3], [5 / 9, 1 / 9], 9), np.nan), (([1, 2], [1, 1], 9), 0.5)
    ):  # fmt: skip
        np.testing.assert_equal(curves.check_bins(build_curve(*curve)), p)  # no trend can be told
    falling = curves.check_bins(build_curve([1, 4], table[:, 0] / 50, 50))
    assert falling == pytest.approx(stats.norm.sf(np.sqrt(chi_square)))
    assert curves.check_bins(build_curve([1, 4], table[::-1, 0] / 50, 50)) == pytest.approx(1 - falling)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), bins=st.integers(2, 8))
def test_the_trend_agrees_with_the_correlation_of_single_samples(seed, bins):
    stream = np.random.default_rng(seed)
    n = stream.integers(3, 20, bins)
    x = np.sort(stream.random(bins))
    successes = stream.integers(1, n)  # neither all nor none overall
    outcome = np.concatenate([np.arange(size) < hits for size, hits in zip(n, successes, strict=True)])
    z = np.sqrt(n.sum()) * np.corrcoef(np.repeat(x, n), outcome)[0, 1]
    assert curves.check_bins(build_curve(x, successes / n, n)) == pytest.approx(stats.norm.cdf(z), abs=1e-12)


def test_the_trend_over_steps_is_the_t_test_of_the_samples_slopes():
    stream = np.random.default_rng(1)
    x = np.arange(4.0)
    correct = x[:, None] < stream.uniform(-1, 9, 30)
    each = curves.weigh_slope(x, np.ones(4)) @ correct
    assert curves.check_steps(x, correct) == pytest.approx(stats.ttest_1samp(each, 0, alternative="less").pvalue)
    assert curves.check_steps(x, correct[::-1]) == pytest.approx(1 - curves.check_steps(x, correct))
    assert each.mean() == pytest.approx(curves.measure_shift_slope(x, correct)["value"])
    assert np.isnan(curves.check_steps(x[:2], np.ones((2, 1), bool)))
    assert curves.check_steps(x[:2], np.ones((2, 9), bool)) == 0.5
    assert curves.check_steps(x, np.repeat([[True], [True], [False], [False]], 5, axis=1)) == 0  # all fall alike


def test_without_a_trend_one_curve_in_twenty_seems_to_fall():
    stream = np.random.default_rng(2)
    falls = np.zeros(2)
    for _ in range(400):
        curve = curves.bin_accuracy(stream.random(300), stream.random(300) < 0.8, 10, 1.0)
        steps = curves.check_steps(np.arange(6.0), stream.random((6, 80)) < 0.7)
        falls += [curves.check_bins(curve) < 0.05, steps < 0.05]
    np.testing.assert_allclose(falls / 400, 0.05, atol=0.03)


def test_the_surest_rise_is_between_any_two_bins_and_pays_for_all_pairs():
    # Agresti and Caffo by hand: a success and a failure more on each side.
    before, after = 42 / 102, 62 / 102
    z = (after - before) / np.sqrt((before * (1 - before) + after * (1 - after)) / 102)
    for accuracy, pairs in (([0.41, 0.61], 1), ([0.99, 0.41, 0.5, 0.61, 0.3], 10)):
        rise = curves.find_bin_rise(build_curve(np.arange(len(accuracy)), accuracy))
        assert (rise.before, rise.after) == (0.41, 0.61)
        assert rise.p_value == pytest.approx(pairs * stats.norm.sf(z))
    assert curves.find_bin_rise(build_curve([1, 2, 3], [0.9, 0.5, 0.1])).p_value == 1
    assert np.isnan(curves.find_bin_rise(build_curve([1], [0.9])).p_value)
    # None of the small steps is a rise beyond the interval of the bin before; all of them together are.
    assert curves.find_bin_rise(build_curve([1, 2, 3, 4], [0.5, 0.58, 0.66, 0.74])).p_value < 0.01


def test_the_rise_of_steps_is_that_of_matched_pairs():
    correct, nobody = np.zeros((2, 50), bool), np.empty((2, 0), bool)
    correct[1, :12], correct[0, 12:15], correct[:, 15:30] = True, True, True
    gained, lost = 12.5 / 52, 3.5 / 52
    rise, none = (
        curves.find_step_rise(curves.count_accuracy(np.arange(2.0), each), each) for each in (correct, nobody)
    )
    assert (rise.before, rise.after) == (0.36, 0.54)
    z = 9 / 50 / np.sqrt((gained + lost - (gained - lost) ** 2) / 52)
    assert rise.p_value == pytest.approx(stats.norm.sf(z))
    assert np.isnan(none.p_value)


@pytest.mark.parametrize("accuracy", [0.8, 0.98])
def test_flat_curves_rise_in_one_of_twenty_at_most(accuracy):
    stream, rises = np.random.default_rng(3), np.zeros(2)
    for _ in range(600):
        correct = stream.random((8, 200)) < accuracy
        curve = curves.count_accuracy(np.arange(8.0), correct)
        rises += [curves.find_bin_rise(curve).p_value < 0.05, curves.find_step_rise(curve, correct).p_value < 0.05]
    assert (rises / 600 < 0.07).all()


def test_centres_are_means_of_well_classified_samples():
    styles = np.array([[0.0, 0], [2, 0], [9, 9], [4, 8]], np.float32)
    true_class, well = np.array([0, 0, 0, 1]), np.array([True, True, False, True])
    assert find_centres(styles, true_class, well, 2, "own_class").tolist() == [[1, 0], [4, 8]]
    np.testing.assert_allclose(find_centres(styles, true_class, well, 2, "all"), [[2, 8 / 3]] * 2)
    # A class without them has no centre, and so no distance.
    centres = find_centres(styles, true_class, well & (true_class == 0), 2, "own_class")
    distances = measure_distances(measure_deviations(styles, true_class, centres, None), np.array([0, 1]))
    assert np.isnan(distances).tolist() == [False, False, False, True]
    assert np.isnan(find_centres(styles, true_class, ~well & well, 2, "all")).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 20), standardised=st.booleans())
def test_distance_and_projection_agree_with_one_sample_at_a_time(seed, n, standardised):
    stream = np.random.default_rng(seed)
    styles, true_class = stream.standard_normal((n, 6)), stream.integers(0, 3, n)
    centres, scale = stream.standard_normal((3, 6)), stream.uniform(0.5, 2, 6)
    dimensions, direction = stream.choice(6, 4, replace=False), stream.choice([-1, 0, 1], 6)
    deviations = measure_deviations(styles, true_class, centres, scale if standardised else None)
    distances, projections = measure_distances(deviations, dimensions), project(deviations, dimensions, direction)
    for i in range(n):
        step = (styles[i] - centres[true_class[i]])[dimensions] / (scale[dimensions] if standardised else 1)
        assert distances[i] == pytest.approx(np.linalg.norm(step))
        assert projections[i] == pytest.approx((step * direction[dimensions]).sum() / 2)


def test_a_dead_dimension_adds_nothing_and_projections_have_variance_one_whatever_k():
    deviations = measure_deviations(np.array([[3.0, 7]]), np.array([0]), np.zeros((1, 2)), np.array([1.0, 0]))
    assert deviations.tolist() == [[3, 0]]
    deviations = np.random.default_rng(1).standard_normal((20_000, 30))
    direction = np.where(np.arange(30) % 2, 1, -1)
    for k in (1, 7, 30):
        assert project(deviations, np.arange(k), direction).std() == pytest.approx(1, abs=0.02)
