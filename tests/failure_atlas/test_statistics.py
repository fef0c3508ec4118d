"""Intervals, decisions, moments, rank correlations and censored medians against closed forms and other libraries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.statistics import estimates, rank_correlation
from failure_atlas.statistics.moments import ClassMoments, measure_std
from failure_atlas.statistics.survival import estimate_survival, find_median
from failure_atlas.walks.starts import average_draws
from tests.refusing import refused

NAN = float("nan")


def bounds(successes, n):
    estimate = estimates.estimate_share(successes, n)
    return estimate.low, estimate.high


@given(counts=st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy_and_holds_the_proportion(counts):
    expected = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    low, high = bounds(*counts)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_wilson_is_elementwise_and_nan_without_samples():
    low, high = estimates.wilson(np.array([[0, 3], [5, 0]]), np.array([[4, 4], [10, 0]]))
    assert low.shape == high.shape == (2, 2)
    assert (low[1, 0], high[1, 0]) == bounds(5, 10)
    assert np.isnan([low[1, 1], high[1, 1]]).all()
    assert not np.isnan(low[0]).any()


def test_proportion_counts_true_entries():
    low, high = bounds(3, 4)
    found = estimates.proportion(np.array([True, True, False, True]))
    assert found == {"value": 0.75, "low": low, "high": high, "n": 4}
    empty = estimates.proportion(np.array([], bool))
    assert empty.pop("n") == 0
    assert np.isnan(list(empty.values())).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_mean_equals_students_interval(values):
    estimate = estimates.mean(np.array(values))
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    centre = np.mean(values)
    assert estimate == pytest.approx({"value": centre, "low": centre - half, "high": centre + half, "n": len(values)},
                                     abs=1e-6)  # fmt: skip


def test_one_repeat_has_no_interval_percentiles_cut_both_ends_and_flat_numbers_keep_theirs():
    without = {"value": 3.0, "low": NAN, "high": NAN, "n": 100}
    assert estimates.mean(np.array([3.0]), n=100) == pytest.approx(without, nan_ok=True)
    assert estimates.percentile(np.arange(1001)) == pytest.approx((25.0, 975.0))
    flat = estimates.flatten("precision", estimates.Estimate(0.5, 0.4, 0.6, 10).as_dict())
    assert flat == {"precision": 0.5, "precision_interval": {"low": 0.4, "high": 0.6, "n": 10}}


DECIDED = [
    *(
        (">=", 0.9, 0.95, estimates.HOLDS),
        (">", 0.9, 0.95, estimates.NOT_DECIDED),
        (">=", 0.8, 0.9, estimates.NOT_DECIDED),
    ),
    *((">", 0.8, 0.9, estimates.FAILS), (">=", 0.8, 0.95, estimates.NOT_DECIDED), ("<=", 0.8, 0.9, estimates.HOLDS)),
    *(
        ("<", 0.8, 0.9, estimates.NOT_DECIDED),
        ("<=", 0.9, 0.95, estimates.NOT_DECIDED),
        ("<", 0.9, 0.95, estimates.FAILS),
    ),
    *((">=", 0.95, NAN, estimates.HOLDS), (">=", 0.8, NAN, estimates.NOT_DECIDED), ("<=", 0.95, NAN, estimates.FAILS)),
    *(("<=", 0.8, NAN, estimates.NOT_DECIDED), (">", NAN, NAN, estimates.NOT_DECIDED)),
]


@pytest.mark.parametrize(("comparison", "low", "high", "verdict"), DECIDED)
def test_an_interval_decides_if_it_lies_on_one_side_of_the_bar(comparison, low, high, verdict):
    assert estimates.decide(estimates.Estimate(NAN, low, high), 0.9, comparison) == verdict
    assert estimates.decide({"low": low, "high": high}, 0.9, comparison) == verdict


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [(">=", estimates.HOLDS), (">", estimates.FAILS), ("<=", estimates.HOLDS), ("<", estimates.FAILS)],
)
def test_a_number_without_an_interval_decides_alone(comparison, verdict):
    assert estimates.decide(estimates.read_estimate(0.9), 0.9, comparison) == verdict


@given(
    interval=st.tuples(st.floats(-10, 10), st.floats(-10, 10)).map(sorted),
    bar=st.floats(-10, 10),
    comparison=st.sampled_from([">=", "<=", ">", "<"]),
)
def test_the_opposite_comparison_has_the_opposite_verdict(interval, bar, comparison):
    opposite = {">=": "<", "<": ">=", "<=": ">", ">": "<="}[comparison]
    found = estimates.Estimate(sum(interval) / 2, *interval)
    assert estimates.decide(found, bar, opposite) == estimates.negate(estimates.decide(found, bar, comparison))


def test_verdicts_on_parts_make_one():
    assert estimates.combine([estimates.HOLDS, estimates.HOLDS]) == estimates.HOLDS
    assert estimates.combine([estimates.HOLDS, estimates.NOT_DECIDED]) == estimates.NOT_DECIDED
    assert estimates.combine([estimates.NOT_DECIDED, estimates.FAILS, estimates.HOLDS]) == estimates.FAILS
    assert estimates.combine([]) == estimates.NOT_DECIDED


def test_difference_of_two_proportions_is_newcombes():
    # Newcombe (1998), table II, method 10: examples (a) and (h).
    for first, second, published in (
        ((56, 70), (48, 80), (0.2, 0.0524, 0.3339, 70)), ((10, 10), (0, 10), (1.0, 0.6075, 1.0, 10))
    ):  # fmt: skip
        difference = estimates.subtract(estimates.estimate_share(*first), estimates.estimate_share(*second))
        found = (difference.value, difference.low, difference.high, difference.n)
        assert found == pytest.approx(published, abs=5e-5)


def test_difference_of_symmetric_intervals_adds_variances():
    first, second, difference = (estimates.Estimate(*held) for held in ((5, 2, 8, None), (1, -3, 5, 4), (4, -1, 9, 4)))
    assert estimates.subtract(first, second) == difference
    assert math.isnan(estimates.subtract(estimates.Estimate(5), estimates.Estimate(1, 0, 2)).low)


def test_margin_stays_in_the_unit_range():
    assert estimates.widen(0.02, 0.05, 9) == estimates.Estimate(0.02, 0, pytest.approx(0.07), 9)
    assert estimates.decide(estimates.widen(NAN, 0.05, 9), 0, ">") == estimates.NOT_DECIDED


def test_the_p_value_of_an_interval_is_that_of_its_test():
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    for bar in (0.0, 0.5):
        wanted = stats.ttest_1samp(values, bar).pvalue
        assert estimates.find_p_value(estimates.read_estimate(estimates.mean(values)), bar) == pytest.approx(wanted)
    for bar, halves in ((0.0, 2), (3.0, 1), (5.0, 2)):  # the interval has two widths
        wanted = 2 * stats.norm.sf(halves * 1.959964)
        assert estimates.find_p_value(estimates.Estimate(1.0, 0.5, 3.0, 10**9), bar) == pytest.approx(wanted, rel=1e-4)
    assert [estimates.find_p_value(estimates.Estimate(0.2, 0.2, 0.2, 9), bar) for bar in (0.2, 0.1)] == [1, 0]
    assert math.isnan(estimates.find_p_value(estimates.Estimate(0.2), 0.1))
    half = stats.t.isf(0.025, 19)
    assert estimates.find_p_value(estimates.Estimate(3, 3 - half, 3 + half, 500), 0, 19) == pytest.approx(
        2 * stats.t.sf(3, 19)
    )


def test_holm_steps_down_and_counts_only_what_was_tested():
    # Sorted: 0.01 x 4, 0.011 x 3 but no less than the one before, 0.03 x 2, 0.9.
    p_values = np.array([0.03, NAN, 0.01, 0.9, 0.011])
    np.testing.assert_allclose(estimates.adjust_holm(p_values), [0.06, NAN, 0.04, 0.9, 0.04])
    assert np.isnan(estimates.adjust_holm(np.array([NAN]))).all()


def test_std_of_parts_is_that_of_all_vectors():
    vectors = np.random.default_rng(0).normal(3, 2, size=(1000, 5)).astype(np.float32)
    wanted = vectors.std(axis=0, ddof=1, dtype=np.float64)
    assert np.array_equal(measure_std(vectors), wanted)
    np.testing.assert_allclose(measure_std(vectors, rows=7), wanted, rtol=1e-12)


def test_std_takes_all_classes_together():
    vectors, labels = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 2, 2, 2])
    moments = ClassMoments(3, 2)
    moments.add(vectors, labels)
    assert moments.std() == pytest.approx(vectors.std(axis=0, ddof=1))
    assert np.isnan(measure_std(vectors[:1])).all()


SCIPY = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


@pytest.mark.parametrize("name", list(rank_correlation.COEFFICIENTS))
def test_equals_scipy_with_ties_and_in_batches_and_only_the_order_counts(name):
    random, correlate = np.random.default_rng(1), rank_correlation.COEFFICIENTS[name]
    measures, reals = random.integers(0, 6, (7, 3, 10)).astype(float), random.standard_normal((7, 4, 10))
    twin = [[[SCIPY[name](a, b).statistic for b in reals[k]] for a in measures[k]] for k in range(7)]
    np.testing.assert_allclose(correlate(measures, reals), twin, atol=1e-12)
    x = np.array([0.1, 0.2, 0.5, 0.7, 0.9])
    found = correlate(x[None], np.stack([x**3, -np.exp(x), np.full(5, 0.3)]))
    np.testing.assert_allclose(found, [[1, -1, np.nan]])  # the last has nothing to rank


def test_bootstrap_over_classifiers():
    random = np.random.default_rng(1)
    x = np.arange(10.0)
    noisy = x + random.normal(0, 4, 10)
    correlate, random = rank_correlation.correlate_spearman, np.random.default_rng(2)
    drawn = rank_correlation.bootstrap_classifiers(correlate, x[None], np.stack([x, noisy]), 400, random)
    assert drawn.shape == (400, 1, 2)
    np.testing.assert_allclose(drawn[:, 0, 0], 1)  # a perfect order stays perfect: why this is not the only interval
    low, high = rank_correlation.bound_replicates(drawn)
    value = rank_correlation.correlate_spearman(x[None], noisy[None])[0, 0]
    assert low[0, 1] < value < high[0, 1]
    low, high = rank_correlation.bound_replicates(np.array([[np.nan, np.nan], [0.0, np.nan], [1.0, np.nan]]))
    np.testing.assert_allclose([low, high], [[0.025, np.nan], [0.975, np.nan]])  # those without one do not count
    # Slow twin: the same draws, one at a time.
    rows = np.random.default_rng(2).integers(0, 10, (400, 10))
    np.testing.assert_allclose(drawn[:, 0, 1], [stats.spearmanr(x[row], noisy[row]).statistic for row in rows])


def test_small_sample_interval_by_hand():
    # Bonett and Wright: z = atanh(.9), variance (1 + .81 / 2) / 7.
    half = 1.959964 * np.sqrt(1.405 / 7)
    low, high = rank_correlation.bound_small_sample("spearman", np.array(0.9), 10)
    assert (low, high) == pytest.approx((np.tanh(np.arctanh(0.9) - half), np.tanh(np.arctanh(0.9) + half)))
    assert (low, high) == pytest.approx((0.533, 0.982), abs=1e-3)
    low, high = rank_correlation.bound_small_sample("kendall", np.array(0.0), 10)
    assert -low == pytest.approx(high)
    assert high == pytest.approx(np.tanh(1.959964 * np.sqrt(0.437 / 6)))


@pytest.mark.parametrize("name", list(rank_correlation.COEFFICIENTS))
def test_a_perfect_order_is_not_certain(name):
    low, high = rank_correlation.bound_small_sample(name, np.array([1.0, -1.0, np.nan]), 10)
    assert 0.5 < low[0] < 1 == high[0]
    assert -1 == low[1] < high[1] < -0.5
    assert np.isnan([low[2], high[2]]).all()
    refused("4 pairs; at least 5", rank_correlation.bound_small_sample, name, np.array(0.5), 4, error=ValueError)


def slow_survival(distance, reached, at):
    share = 1.0
    for value in sorted(set(distance[reached])):
        if value <= at:
            share *= 1 - np.sum((distance == value) & reached) / np.sum(distance >= value)
    return share


def test_it_equals_the_product_limit_with_ties_and_censoring():
    random = np.random.default_rng(3)
    distance, reached = random.integers(0, 8, 60) / 2, random.random(60) < 0.7
    survival = estimate_survival(distance, reached)
    for at, share, at_risk in zip(survival.distance, survival.share, survival.at_risk, strict=True):
        assert share == pytest.approx(slow_survival(distance, reached, at))
        assert at_risk == np.sum(distance >= at)
    assert ((survival.low <= survival.share) & (survival.share <= survival.high)).all()
    assert (np.diff(survival.distance) > 0).all()
    assert survival.n == 60


def test_it_starts_at_zero_stays_at_one_before_the_first_fall_and_is_the_empirical_share_without_censoring():
    survival = estimate_survival(np.array([0.0, 0, 1, 3]), np.ones(4, bool))
    assert (list(survival.distance), list(survival.share)) == ([0, 1, 3], [0.5, 0.25, 0])
    assert survival.low[-1] == 0
    assert survival.high[-1] == survival.high[-2] > 0.25
    survival = estimate_survival(np.array([2.0, 1, 3]), np.array([True, False, True]))
    assert list(survival.distance) == [0, 1, 2, 3]
    assert list(survival.share[:2]) == list(survival.low[:2]) == list(survival.high[:2]) == [1, 1]
    assert list(survival.at_risk) == [3, 3, 2, 1]


def test_the_median_counts_censored_distances_as_longer():
    assert find_median(np.full(9, 10.0), np.zeros(9, bool)) == {"value": np.inf, "low": np.inf, "high": np.inf, "n": 9}
    nothing = find_median(np.zeros(0), np.zeros(0, bool))
    assert (nothing.pop("n"), np.isnan(list(nothing.values())).all()) == (0, True)
    distance = np.array([1.0, 2, 3, 20, 20])
    for reached, median in (([1, 1, 1, 0, 0], 3), ([1, 1, 0, 0, 0], np.inf)):
        assert find_median(distance, np.array(reached, bool))["value"] == median
    assert find_median(np.zeros(7), np.ones(7, bool))["value"] == 0


@pytest.mark.parametrize("n", range(1, 60))
def test_of_what_all_were_followed_equally_far_it_is_the_sample_median(n):
    distance = np.random.default_rng(n).exponential(size=n)
    median = pytest.approx(np.median(distance))
    assert find_median(distance, np.ones(n, bool))["value"] == median
    for back, expected in ((0, median), *(((1, np.inf),) if n % 2 == 0 else ())):
        farthest = np.sort(distance)[n // 2 - back]
        assert find_median(np.minimum(distance, farthest), distance <= farthest)["value"] == expected


def test_the_interval_of_the_median_covers_at_its_level():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        values, limit = random.exponential(size=40), 3 * random.random(40)  # about a third are cut off
        median = find_median(np.minimum(values, limit), values <= limit)
        hits += median["low"] <= np.log(2) <= median["high"]
    assert 0.92 <= hits / 300 <= 0.99


def test_draws_of_noise_become_one_estimate_as_wide_as_that_of_one_draw():
    def tell(value, low, high, n):
        return {"value": value, "low": low, "high": high, "n": n}

    first = {"share": tell(0.2, 0.1, 0.4, 10), "none": tell(NAN, NAN, NAN, 0), "far": tell(3.0, 2, math.inf, 9)}
    second = {"share": tell(0.4, 0.2, 0.5, 13), "none": tell(0.5, 0.1, 0.9, 4), "far": tell(math.inf, 4, math.inf, 9)}
    found = average_draws([
        {"walks": 3, "deep": first, "median": 2.0, "error": NAN, "median_interval": {"low": 1.0, "high": 3.0, "n": 5}},
        {"walks": 4, "deep": second, "median": 3.0, "error": 0.5, "median_interval": {"low": 2.0, "high": 5.0, "n": 6}},
    ])  # fmt: skip
    deep = found.pop("deep")
    assert found == {
        "walks": 7, "median": 2.5, "error": 0.5, "median_interval": {"low": 1.5, "high": 4.0, "n": 6}
    }  # fmt: skip
    assert deep["share"] == pytest.approx(tell(0.3, 0.15, 0.45, 12))
    assert deep["none"] == second["none"], "the draw that tells nothing leaves the word to the other"
    assert deep["far"] == tell(math.inf, 3, math.inf, 9)
    assert isinstance(found["walks"], int)
    nothing = average_draws([{"none": first["none"], "at": NAN}] * 2)
    assert np.isnan([nothing["at"], *(nothing["none"][key] for key in ("value", "low", "high"))]).all()
    assert nothing["none"]["n"] == 0
    assert average_draws([second]) == second
