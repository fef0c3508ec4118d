"""Trend tests against closed forms and against their own claim; rises where they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.curves.curve import Curve, bin_accuracy, measure_shift_slope, weigh_slope
from failure_atlas.statistics.estimates import wilson
from failure_atlas.statistics.trend import check_bins, check_steps, count_rises


def build_curve(x, successes, n):
    successes, n = np.asarray(successes), np.asarray(n)
    return Curve(np.asarray(x, float), successes / n, *wilson(successes, n), n)


def test_two_bins_are_the_chi_square_test():
    table = np.array([[45, 5], [30, 20]])
    chi_square = stats.chi2_contingency(table, correction=False).statistic
    falling = check_bins(build_curve([1, 4], table[:, 0], table.sum(axis=1)))
    assert falling == pytest.approx(stats.norm.sf(np.sqrt(chi_square)))
    rising = check_bins(build_curve([1, 4], table[::-1, 0], table.sum(axis=1)))
    assert rising == pytest.approx(1 - falling)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), bins=st.integers(2, 8))
def test_agrees_with_the_correlation_of_single_samples(seed, bins):
    stream = np.random.default_rng(seed)
    n = stream.integers(3, 20, bins)
    x = np.sort(stream.random(bins))
    successes = stream.integers(1, n)  # neither all nor none overall
    outcome = np.concatenate([np.arange(size) < hits for size, hits in zip(n, successes, strict=True)])
    z = np.sqrt(n.sum()) * np.corrcoef(np.repeat(x, n), outcome)[0, 1]
    assert check_bins(build_curve(x, successes, n)) == pytest.approx(stats.norm.cdf(z), abs=1e-12)


def test_no_trend_can_be_told():
    assert np.isnan(check_bins(build_curve([3], [5], [9])))
    assert np.isnan(check_bins(build_curve([3, 3], [5, 1], [9, 9])))
    assert check_bins(build_curve([1, 2], [9, 9], [9, 9])) == 0.5
    assert np.isnan(check_steps(np.array([0.0, 1]), np.ones((2, 1), bool)))
    assert check_steps(np.array([0.0, 1]), np.ones((2, 9), bool)) == 0.5


def test_steps_are_the_t_test_of_the_samples_slopes():
    stream = np.random.default_rng(1)
    x = np.arange(4.0)
    correct = x[:, None] < stream.uniform(-1, 9, 30)
    each = weigh_slope(x, np.ones(4)) @ correct
    assert check_steps(x, correct) == pytest.approx(stats.ttest_1samp(each, 0, alternative="less").pvalue)
    assert check_steps(x, correct[::-1]) == pytest.approx(1 - check_steps(x, correct))
    assert each.mean() == pytest.approx(measure_shift_slope(x, correct)["value"])
    assert check_steps(x, np.repeat([[True], [True], [False], [False]], 5, axis=1)) == 0  # all fall alike


def test_without_a_trend_one_curve_in_twenty_seems_to_fall():
    stream = np.random.default_rng(2)
    p_bins, p_steps = [], []
    for _ in range(400):
        curve = bin_accuracy(stream.random(300), stream.random(300) < 0.8, 10, 1.0)
        p_bins.append(check_bins(curve))
        p_steps.append(check_steps(np.arange(6.0), stream.random((6, 80)) < 0.7))
    for p in (p_bins, p_steps):
        assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_rises_are_counted_beyond_both_intervals():
    assert count_rises(build_curve([1, 2, 3, 4], [90, 40, 90, 91], [100] * 4)) == 1
    assert count_rises(build_curve([1, 2], [50, 51], [100, 100])) == 0
    assert count_rises(build_curve([1, 2, 3], [1, 50, 99], [100] * 3)) == 2
