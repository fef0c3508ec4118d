"""Area and slope of curves that are known, and intervals that cover as often as they claim."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.curves.curve import (
    Curve,
    measure_area,
    measure_shift_area,
    measure_shift_slope,
    measure_slope,
    weigh_area,
    weigh_slope,
)


def build_curve(x, accuracy, n=100):
    x, accuracy = np.asarray(x, float), np.asarray(accuracy, float)
    return Curve(x, accuracy, accuracy, accuracy, np.full(len(x), n))


def test_constant_accuracy_is_its_own_area_and_has_no_slope():
    curve = build_curve([1, 2, 7], [0.8, 0.8, 0.8])
    assert measure_area(curve)["value"] == pytest.approx(0.8)
    assert measure_slope(curve)["value"] == pytest.approx(0)


def test_straight_line_has_the_mean_of_its_ends_as_area():
    x = np.array([0, 0.5, 2, 5])
    curve = build_curve(x, 0.9 - 0.1 * x)
    assert measure_area(curve)["value"] == pytest.approx((0.9 + 0.4) / 2)
    assert measure_slope(curve)["value"] == pytest.approx(-0.1)


def test_one_point_and_no_point():
    assert measure_area(build_curve([3], [0.7]))["value"] == pytest.approx(0.7)
    assert np.isnan(measure_slope(build_curve([3], [0.7]))["value"])
    assert np.isnan(measure_area(build_curve([], []))["value"])
    assert measure_slope(build_curve([], []))["n"] == 0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), points=st.integers(2, 12))
def test_agrees_with_numpy_and_ignores_the_unit_of_x(seed, points):
    stream = np.random.default_rng(seed)
    x, y = np.sort(stream.random(points)) * 5, stream.random(points)
    assert weigh_area(x) @ y == pytest.approx(np.trapezoid(y, x) / np.ptp(x))
    assert weigh_area(x).sum() == pytest.approx(1)
    assert weigh_area(3 * x + 2) @ y == pytest.approx(weigh_area(x) @ y)
    precision = stream.uniform(1, 9, points)
    fitted = np.polyfit(x, y, 1, w=np.sqrt(precision))[0]
    assert weigh_slope(x, precision) @ y == pytest.approx(fitted, rel=1e-6, abs=1e-9)


def test_interval_stays_in_the_unit_range_and_is_not_certain_at_one():
    area = measure_area(build_curve([0, 1, 2], [1, 1, 1], n=20))
    assert area["low"] < area["value"] == area["high"] == 1
    assert area["n"] == 60


def test_intervals_of_bins_cover_the_truth_as_often_as_they_claim():
    stream = np.random.default_rng(1)
    x, n = np.linspace(0, 4, 8), 60
    p = 0.95 - 0.1 * x
    hits = np.zeros(2)
    for _ in range(400):
        curve = build_curve(x, stream.binomial(n, p) / n, n)
        for i, (measured, truth) in enumerate(((measure_area(curve), 0.75), (measure_slope(curve), -0.1))):
            hits[i] += measured["low"] <= truth <= measured["high"]
    np.testing.assert_allclose(hits / 400, 0.95, atol=0.035)


def test_intervals_of_steps_count_each_sample_once():
    # Each sample fails for good beyond a shift of its own: steps are far from independent.
    stream = np.random.default_rng(2)
    x = np.arange(0, 5.5, 0.5)
    truth_area = weigh_area(x) @ np.clip(1 - (x - 1) / 3, 0, 1)
    truth_slope = weigh_slope(x, np.ones(len(x))) @ np.clip(1 - (x - 1) / 3, 0, 1)
    hits = np.zeros(2)
    for _ in range(400):
        correct = x[:, None] < stream.uniform(1, 4, 80)
        measured = measure_shift_area(x, correct), measure_shift_slope(x, correct)
        for i, (entry, truth) in enumerate(zip(measured, (truth_area, truth_slope), strict=True)):
            hits[i] += entry["low"] <= truth <= entry["high"]
    np.testing.assert_allclose(hits / 400, 0.95, atol=0.035)


def test_steps_of_no_sample_or_one():
    x = np.array([0.0, 1.0])
    assert np.isnan(measure_shift_area(x, np.empty((2, 0), bool))["value"])
    assert measure_shift_area(x, np.array([[True], [False]]))["value"] == 0.5
    assert measure_shift_area(x, np.array([[True], [False]]))["n"] == 1
