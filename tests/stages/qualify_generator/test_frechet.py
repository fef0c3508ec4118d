"""Frechet distance of Gaussians whose distance is known exactly, and a slow twin for the rest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from failure_atlas.quality.frechet import Gaussian, fit_gaussian, frechet_distance


def draw_covariance(stream, size):
    factor = stream.standard_normal((size, size))
    return factor @ factor.T


def test_commuting_covariances_have_a_closed_form():
    # With a common basis the distance is the sum of the squared differences of the standard deviations.
    stream = np.random.default_rng(1)
    basis = np.linalg.qr(stream.standard_normal((5, 5)))[0]
    a, b = stream.uniform(0.1, 3, 5), stream.uniform(0.1, 3, 5)
    first = Gaussian(np.zeros(5), basis @ np.diag(a**2) @ basis.T)
    second = Gaussian(np.ones(5), basis @ np.diag(b**2) @ basis.T)
    assert frechet_distance(first, second) == pytest.approx(5 + ((a - b) ** 2).sum())


def test_agrees_with_the_matrix_root():
    stream = np.random.default_rng(2)
    first, second = (Gaussian(stream.standard_normal(6), draw_covariance(stream, 6)) for _ in range(2))
    root = sqrtm(first.covariance @ second.covariance).real
    slow = np.sum((first.mean - second.mean) ** 2) + np.trace(first.covariance + second.covariance - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(slow, rel=1e-9)


def test_singular_covariances_are_exact():
    # Five samples in twenty dimensions: a general matrix root turns complex here.
    features = np.random.default_rng(3).standard_normal((5, 20))
    gaussian = fit_gaussian(features)
    assert frechet_distance(gaussian, gaussian) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(gaussian, fit_gaussian(features + 2)) == pytest.approx(80)
    assert frechet_distance(gaussian, fit_gaussian(3 * features)) == pytest.approx(
        4 * (gaussian.mean @ gaussian.mean + np.trace(gaussian.covariance))
    )


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 6), seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_symmetric_never_negative_and_scales_as_a_square(size, seed, scale):
    stream = np.random.default_rng(seed)
    first, second = (Gaussian(stream.standard_normal(size), draw_covariance(stream, size)) for _ in range(2))
    distance = frechet_distance(first, second)
    assert distance >= 0
    assert frechet_distance(second, first) == pytest.approx(distance, rel=1e-8, abs=1e-10)
    larger = [Gaussian(scale * each.mean, scale**2 * each.covariance) for each in (first, second)]
    assert frechet_distance(*larger) == pytest.approx(scale**2 * distance, rel=1e-7, abs=1e-9 * scale**2)


def test_moments_of_samples():
    features = np.random.default_rng(4).standard_normal((50, 3)).astype(np.float32)
    gaussian = fit_gaussian(features)
    assert gaussian.mean.dtype == np.float64
    np.testing.assert_allclose(gaussian.covariance, np.cov(features.T), rtol=1e-6)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        fit_gaussian(features[:1])
