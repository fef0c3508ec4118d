"""Intervals against closed values and another implementation; what an interval decides."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.statistics.estimates import (
    FAILS,
    HOLDS,
    NOT_DECIDED,
    Estimate,
    adjust_holm,
    combine,
    decide,
    estimate_share,
    find_p_value,
    flatten,
    mean,
    negate,
    percentile,
    proportion,
    read_estimate,
    subtract,
    widen,
    wilson,
)

NAN = float("nan")


def bounds(successes: int, n: int) -> tuple[float, float]:
    estimate = estimate_share(successes, n)
    return estimate.low, estimate.high


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),  # Newcombe 1998, table I, method 3, and Wilson's closed form z^2 / (n + z^2) at zero
        (1, 29, 0.0061, 0.1718),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
        (5, 10, 0.236593, 0.763407),
        (1, 10**9, 0.0, 0.0),
    ],
)
def test_wilson_gives_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert bounds(successes, n) == pytest.approx((low, high), abs=5e-5)
    z2 = stats.norm.ppf(0.975) ** 2  # at the edges there is a closed form
    assert bounds(0, n) == (0.0, pytest.approx(z2 / (n + z2)))
    assert bounds(n, n) == (pytest.approx(n / (n + z2)), 1.0)


@given(counts=st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy_and_holds_the_proportion(counts: tuple[int, int]) -> None:
    expected = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    low, high = bounds(*counts)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_wilson_is_elementwise_and_nan_without_samples() -> None:
    low, high = wilson(np.array([[0, 3], [5, 0]]), np.array([[4, 4], [10, 0]]))
    assert low.shape == high.shape == (2, 2)
    assert (low[1, 0], high[1, 0]) == bounds(5, 10)
    assert np.isnan([low[1, 1], high[1, 1]]).all()
    assert not np.isnan(low[0]).any()


def test_proportion_counts_true_entries() -> None:
    low, high = bounds(3, 4)
    assert proportion(np.array([True, True, False, True])) == {"value": 0.75, "low": low, "high": high, "n": 4}
    empty = proportion(np.array([], bool))
    assert empty.pop("n") == 0
    assert np.isnan(list(empty.values())).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_mean_equals_students_interval(values: list[float]) -> None:
    estimate = mean(np.array(values))
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    centre = np.mean(values)
    assert estimate == pytest.approx({"value": centre, "low": centre - half, "high": centre + half, "n": len(values)},
                                     abs=1e-6)  # fmt: skip


def test_one_repeat_has_no_interval_percentiles_cut_both_ends_and_flat_numbers_keep_theirs() -> None:
    assert mean(np.array([3.0]), n=100) == pytest.approx({"value": 3.0, "low": NAN, "high": NAN, "n": 100}, nan_ok=True)
    assert percentile(np.arange(1001)) == pytest.approx((25.0, 975.0))
    flat = flatten("precision", Estimate(0.5, 0.4, 0.6, 10).as_dict())
    assert flat == {"precision": 0.5, "precision_interval": {"low": 0.4, "high": 0.6, "n": 10}}


@pytest.mark.parametrize(
    ("comparison", "low", "high", "verdict"),
    [
        *((">=", 0.9, 0.95, HOLDS), (">", 0.9, 0.95, NOT_DECIDED), (">=", 0.8, 0.9, NOT_DECIDED)),
        *((">", 0.8, 0.9, FAILS), (">=", 0.8, 0.95, NOT_DECIDED), ("<=", 0.8, 0.9, HOLDS)),
        *(("<", 0.8, 0.9, NOT_DECIDED), ("<=", 0.9, 0.95, NOT_DECIDED), ("<", 0.9, 0.95, FAILS)),
        *((">=", 0.95, NAN, HOLDS), (">=", 0.8, NAN, NOT_DECIDED), ("<=", 0.95, NAN, FAILS)),
        *(("<=", 0.8, NAN, NOT_DECIDED), (">", NAN, NAN, NOT_DECIDED)),
    ],
)
def test_an_interval_decides_if_it_lies_on_one_side_of_the_bar(
    comparison: str, low: float, high: float, verdict: str
) -> None:
    assert decide(Estimate(NAN, low, high), 0.9, comparison) == verdict
    assert decide({"low": low, "high": high}, 0.9, comparison) == verdict


@pytest.mark.parametrize(("comparison", "verdict"), [(">=", HOLDS), (">", FAILS), ("<=", HOLDS), ("<", FAILS)])
def test_a_number_without_an_interval_decides_alone(comparison: str, verdict: str) -> None:
    assert decide(read_estimate(0.9), 0.9, comparison) == verdict


@given(
    interval=st.tuples(st.floats(-10, 10), st.floats(-10, 10)).map(sorted),
    bar=st.floats(-10, 10),
    comparison=st.sampled_from([">=", "<=", ">", "<"]),
)
def test_the_opposite_comparison_has_the_opposite_verdict(interval: list[float], bar: float, comparison: str) -> None:
    opposite = {">=": "<", "<": ">=", "<=": ">", ">": "<="}[comparison]
    found = Estimate(sum(interval) / 2, *interval)
    assert decide(found, bar, opposite) == negate(decide(found, bar, comparison))


def test_verdicts_on_parts_make_one() -> None:
    assert combine([HOLDS, HOLDS]) == HOLDS
    assert combine([HOLDS, NOT_DECIDED]) == NOT_DECIDED
    assert combine([NOT_DECIDED, FAILS, HOLDS]) == FAILS
    assert combine([]) == NOT_DECIDED


def test_difference_of_two_proportions_is_newcombes() -> None:
    # Newcombe (1998), table II, example (a): 56/70 against 48/80, method 10.
    difference = subtract(estimate_share(56, 70), estimate_share(48, 80))
    found = (difference.value, difference.low, difference.high)
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference.n == 70


def test_difference_of_symmetric_intervals_adds_variances() -> None:
    assert subtract(Estimate(5, 2, 8, None), Estimate(1, -3, 5, 4)) == Estimate(4, -1, 9, 4)
    assert math.isnan(subtract(Estimate(5), Estimate(1, 0, 2)).low)


def test_margin_stays_in_the_unit_range() -> None:
    assert widen(0.02, 0.05, 9) == Estimate(0.02, 0, pytest.approx(0.07), 9)
    assert decide(widen(NAN, 0.05, 9), 0, ">") == NOT_DECIDED


def test_the_p_value_of_an_interval_is_that_of_its_test():
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    for bar in (0.0, 0.5):
        wanted = stats.ttest_1samp(values, bar).pvalue
        assert find_p_value(read_estimate(mean(values)), bar) == pytest.approx(wanted)
    for bar, halves in ((0.0, 2), (3.0, 1), (5.0, 2)):  # the interval has two widths
        wanted = 2 * stats.norm.sf(halves * 1.959964)
        assert find_p_value(Estimate(1.0, 0.5, 3.0, 10**9), bar) == pytest.approx(wanted, rel=1e-4)
    assert [find_p_value(Estimate(0.2, 0.2, 0.2, 9), bar) for bar in (0.2, 0.1)] == [1, 0]
    assert math.isnan(find_p_value(Estimate(0.2), 0.1))
    half = stats.t.isf(0.025, 19)
    assert find_p_value(Estimate(3, 3 - half, 3 + half, 500), 0, 19) == pytest.approx(2 * stats.t.sf(3, 19))


def test_holm_steps_down_and_counts_only_what_was_tested():
    # Sorted: 0.01 x 4, 0.011 x 3 but no less than the one before, 0.03 x 2, 0.9.
    p_values = np.array([0.03, NAN, 0.01, 0.9, 0.011])
    np.testing.assert_allclose(adjust_holm(p_values), [0.06, NAN, 0.04, 0.9, 0.04])
    assert np.isnan(adjust_holm(np.array([NAN]))).all()
