"""Distances in closed form and against a slow twin."""

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf

from stages.judge_failures.style_distance import (
    find_percentiles,
    fit_spread,
    measure_mahalanobis,
    measure_std_distance,
)


@pytest.fixture
def population():
    random = np.random.default_rng(3)
    labels = np.arange(900) % 3
    mixing = np.array([[2.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    styles = random.standard_normal((900, 4)) @ mixing.T + labels[:, None] * np.array([5.0, 0.0, -2.0, 0.0]) + 1
    return styles.astype(np.float32), labels


def test_distances_equal_the_textbook_formula_sample_by_sample(population):
    styles, labels = population
    spread = fit_spread(styles, labels, 3, np.array([True, True, True, True]))
    assert list(spread.used) == [True, True, True, False], "a dimension that does not vary is left out"
    scaled = styles[:, :3] / styles[:, :3].std(axis=0, ddof=1, dtype=float)
    means = [scaled[labels == label].mean(axis=0) for label in range(3)]
    covariance = LedoitWolf(assume_centered=True).fit(scaled - np.array(means)[labels]).covariance_
    for row in (0, 1, 2, 500):
        away = scaled[row] - means[labels[row]]
        expected = np.sqrt(away @ np.linalg.inv(covariance) @ away)
        assert measure_mahalanobis(spread, styles[[row]], labels[[row]])[0] == pytest.approx(expected, rel=1e-6)
        assert measure_std_distance(spread, styles[[row]], labels[[row]])[0] == pytest.approx(np.linalg.norm(away))


def test_distances_of_gaussian_samples_follow_their_law(population):
    styles, labels = population
    spread = fit_spread(styles, labels, 3, np.ones(4, bool))
    squared = measure_mahalanobis(spread, styles, labels) ** 2
    assert stats.kstest(squared, stats.chi2(3).cdf).statistic < 0.06
    assert spread.shrinkage < 0.05


def test_useless_dimensions_do_not_count(population):
    styles, labels = population
    spread = fit_spread(styles, labels, 3, np.array([True, False, True, True]))
    moved = styles.copy()
    moved[:, 1] += 100
    np.testing.assert_array_equal(
        measure_mahalanobis(spread, styles, labels), measure_mahalanobis(spread, moved, labels)
    )
    with pytest.raises(ValueError, match="no style dimension"):
        fit_spread(styles, labels, 3, np.array([False, False, False, True]))


def test_leaving_the_plane_of_the_population_is_far_however_short_the_way():
    random = np.random.default_rng(1)
    latent, labels = random.standard_normal((2000, 2)), np.arange(2000) % 2
    plane = random.standard_normal((2, 6))
    styles = (latent @ plane).astype(np.float32)
    spread = fit_spread(styles, labels, 2, np.ones(6, bool))
    inside = (np.array([[1.0, 0.0]]) @ plane).astype(np.float32)
    outside = inside + 0.5 * np.linalg.svd(plane)[2][-1].astype(np.float32)
    near, far = (measure_mahalanobis(spread, point, np.array([0]))[0] for point in (inside, outside))
    assert near < 3
    assert far > 8


def test_percentiles_are_counts_within_the_class():
    reference, classes = np.array([1.0, 2, 3, 4, 10, 20]), np.array([0, 0, 0, 0, 1, 1])
    values, own = np.array([0.0, 1, 2.5, 4, 9, 15, 1]), np.array([0, 0, 0, 0, 1, 1, 2])
    percentiles = find_percentiles(values, own, reference, classes)
    np.testing.assert_array_equal(percentiles[:6], [0, 25, 50, 100, 0, 50])
    assert np.isnan(percentiles[6]), "no sample of the class, no percentile"
    random = np.random.default_rng(0)
    reference, values = random.normal(size=300), random.normal(size=20)
    np.testing.assert_allclose(
        find_percentiles(values, np.zeros(20, int), reference, np.zeros(300, int)),
        [stats.percentileofscore(reference, value, kind="weak") for value in values],
    )
