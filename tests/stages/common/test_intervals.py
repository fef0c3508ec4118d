"""Intervals against closed values, another implementation, and what must hold for any counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.statistics.estimates import flatten, mean, percentile, proportion, wilson

COUNTS = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def bounds(successes: int, n: int) -> tuple[float, float]:
    low, high = wilson(np.array(successes), np.array(n))
    return float(low), float(high)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),  # Newcombe 1998, table I, method 3, and Wilson's closed form z^2 / (n + z^2) at zero
        (1, 29, 0.0061, 0.1718),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
        (5, 10, 0.236593, 0.763407),
    ],
)
def test_wilson_gives_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert bounds(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_the_edges_is_its_closed_form() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    for n in (1, 7, 1000, 10**9):
        assert bounds(0, n) == (0.0, pytest.approx(z2 / (n + z2)))
        assert bounds(n, n) == (pytest.approx(n / (n + z2)), 1.0)


@given(COUNTS)
def test_wilson_holds_the_proportion_and_mirrors(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = bounds(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high
    mirrored = bounds(n - successes, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts=st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(counts: tuple[int, int]) -> None:
    expected = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert bounds(*counts) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(COUNTS)
def test_more_samples_narrow_the_interval(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = bounds(successes, n)
    more_low, more_high = bounds(4 * successes, 4 * n)
    assert more_high - more_low < high - low


def test_wilson_is_elementwise_and_nan_without_samples() -> None:
    low, high = wilson(np.array([[0, 3], [5, 0]]), np.array([[4, 4], [10, 0]]))
    assert low.shape == high.shape == (2, 2)
    assert (low[1, 0], high[1, 0]) == bounds(5, 10)
    assert np.isnan(low[1, 1])
    assert np.isnan(high[1, 1])
    assert not np.isnan(low[0]).any()


def test_proportion_counts_true_entries() -> None:
    estimate = proportion(np.array([True, True, False, True]))
    low, high = bounds(3, 4)
    assert estimate == {"value": 0.75, "low": low, "high": high, "n": 4}
    empty = proportion(np.array([], bool))
    assert empty["n"] == 0
    assert all(math.isnan(empty[key]) for key in ("value", "low", "high"))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_mean_equals_students_interval(values: list[float]) -> None:
    estimate = mean(np.array(values))
    assert estimate["value"] == pytest.approx(np.mean(values), abs=1e-6)
    assert estimate["n"] == len(values)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error
    assert estimate["high"] - estimate["value"] == pytest.approx(half, abs=1e-6)
    assert estimate["value"] - estimate["low"] == pytest.approx(half, abs=1e-6)


def test_mean_of_one_repeat_has_no_interval() -> None:
    estimate = mean(np.array([3.0]), n=100)
    assert estimate["value"] == 3.0
    assert estimate["n"] == 100
    assert math.isnan(estimate["low"])
    assert math.isnan(estimate["high"])


def test_mean_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        estimate = mean(random.normal(2.0, 3.0, 5))
        covered.append(estimate["low"] <= 2.0 <= estimate["high"])
    low, high = wilson(np.array(sum(covered)), np.array(1000))
    assert low - 0.01 < 0.95 < high + 0.01


def test_percentile_cuts_two_and_a_half_percent_at_each_end() -> None:
    assert percentile(np.arange(1001)) == pytest.approx((25.0, 975.0))


def test_flatten_puts_the_interval_beside_the_number() -> None:
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    assert flatten("precision", estimate) == {
        "precision": 0.5,
        "precision_interval": {"low": 0.4, "high": 0.6, "n": 10},
    }
