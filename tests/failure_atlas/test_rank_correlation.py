"""Rank correlations against scipy's, and their intervals against closed forms."""

import numpy as np
import pytest
from scipy import stats

from failure_atlas.statistics import rank_correlation

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
    drawn = rank_correlation.bootstrap_classifiers(
        rank_correlation.correlate_spearman, x[None], np.stack([x, noisy]), 400, np.random.default_rng(2)
    )
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
    with pytest.raises(ValueError, match="4 pairs; at least 5"):
        rank_correlation.bound_small_sample(name, np.array(0.5), 4)
