"""Noise against its moments; tone and compression against closed forms and the libraries' own ways."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.util import random_noise

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.values import (
    add_gaussian_noise,
    add_impulse_noise,
    add_shot_noise,
    add_speckle_noise,
    brighten,
    compress_jpeg,
    lower_contrast,
    pixel_matrix,
    pixelate,
    quantize,
    saturate,
)

GREY = np.random.default_rng(1).random((3, 1, 32, 32))
COLOUR = np.random.default_rng(2).random((3, 3, 32, 32))


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


def test_brightness_raises_grey_by_a_constant_and_colour_in_proportion():
    np.testing.assert_allclose(brighten(GREY, None, 0.2), np.minimum(GREY + 0.2, 1))
    value = COLOUR.max(axis=1, keepdims=True)  # the V of HSV scales all channels
    np.testing.assert_allclose(brighten(COLOUR, None, 0.2), COLOUR * np.minimum(value + 0.2, 1) / value, atol=1e-12)


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    flat = lower_contrast(COLOUR, None, 0.3)
    np.testing.assert_allclose(flat.mean(axis=(2, 3)), COLOUR.mean(axis=(2, 3)))
    np.testing.assert_allclose(flat.std(axis=(2, 3)), 0.3 * COLOUR.std(axis=(2, 3)))


def test_saturation_moves_channels_away_from_the_largest():
    largest, smallest = COLOUR.max(axis=1, keepdims=True), COLOUR.min(axis=1, keepdims=True)
    before = (largest - smallest) / largest
    after = np.clip(before * 1.5 + 0.1, 0, 1)
    expected = largest - (largest - COLOUR) * after / before
    np.testing.assert_allclose(saturate(COLOUR, None, 1.5, 0.1), expected, atol=1e-12)
    grey = np.repeat(GREY, 3, axis=1)
    np.testing.assert_allclose(saturate(grey, None, 2.0, 0.0), grey)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_as_many_levels_as_bits_allow(bits):
    levels = np.unique(quantize(GREY, None, bits))
    np.testing.assert_allclose(levels, np.arange(2**bits) / (2**bits - 1))
    assert np.abs(quantize(GREY, None, bits) - GREY).max() <= 0.5 / (2**bits - 1) + 1e-12


@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_jpeg_is_pillow_s(images):
    ours = compress_jpeg(images, None, 25)
    for place, image in enumerate(images):
        pixels = (image.transpose(1, 2, 0) * 255).round().astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=25)
        twin = np.asarray(Image.open(file)).reshape(pixels.shape)
        np.testing.assert_array_equal((ours[place].transpose(1, 2, 0) * 255).round(), twin)


def test_pixels_of_a_whole_size_are_means_of_blocks():
    blocks = COLOUR.reshape(3, 3, 16, 2, 16, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(pixelate(COLOUR, None, 0.5), blocks.repeat(2, axis=2).repeat(2, axis=3), atol=1e-6)


@pytest.mark.parametrize("factor", [0.25, 0.4, 0.6, 0.95])
def test_pixels_are_pillow_s(factor):
    small = int(32 * factor)
    for image in GREY[:, 0].astype(np.float32):
        box = Image.Resampling.BOX
        twin = np.asarray(Image.fromarray(image).resize((small, small), box).resize((32, 32), box))
        np.testing.assert_allclose(pixelate(image[None, None].astype(float), None, factor)[0, 0], twin, atol=1e-5)
    np.testing.assert_allclose(pixel_matrix(32, factor).sum(axis=1), 1, atol=1e-6)
