"""Noise against the moments that its definition gives, and scikit-image as a slow twin."""

import numpy as np
import pytest
from skimage.util import random_noise

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.values import add_gaussian_noise, add_impulse_noise, add_shot_noise, add_speckle_noise


def stream(place):
    return torch_stream(3, "test", place)


def flat(grey, n=40):
    return np.full((n, 1, 32, 32), grey)


def test_moments_on_a_flat_image():
    assert add_gaussian_noise(flat(0.5), stream, 0.1).std() == pytest.approx(0.1, rel=0.02)
    assert add_shot_noise(flat(0.4), stream, 60.0).mean() == pytest.approx(0.4, abs=0.003)
    assert add_shot_noise(flat(0.4), stream, 60.0).var() == pytest.approx(0.4 / 60, rel=0.03)
    assert add_speckle_noise(flat(0.4), stream, 0.2).std() == pytest.approx(0.4 * 0.2, rel=0.02)


def test_shot_noise_counts_photons():
    noisy = add_shot_noise(flat(0.5), stream, 12.0) * 12
    np.testing.assert_allclose(noisy, np.round(noisy), atol=1e-12)
    assert set(np.unique(np.round(noisy))) == set(range(13))  # more than white is white


def test_black_stays_black_under_noise_that_light_makes():
    for add in (add_shot_noise, add_speckle_noise):
        assert (add(flat(0.0), stream, 3.0) == 0).all()


def test_impulses_have_the_share_of_scikit_image():
    ours = add_impulse_noise(flat(0.5), stream, 0.27)
    twin = random_noise(flat(0.5), mode="s&p", amount=0.27, rng=1)
    for noisy in (ours, twin):
        assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
        assert (noisy == 0).mean() == pytest.approx(0.135, abs=0.006)
        assert (noisy == 1).mean() == pytest.approx(0.135, abs=0.006)


@pytest.mark.parametrize("add", [add_gaussian_noise, add_shot_noise, add_impulse_noise, add_speckle_noise])
def test_channels_and_images_differ(add):
    noisy = add(np.full((2, 3, 32, 32), 0.5), stream, 0.3)
    planes = noisy.reshape(6, -1)
    assert np.abs(np.corrcoef(planes) - np.eye(6)).max() < 0.15
