"""Tone and compression against closed forms and the libraries' own ways."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from failure_atlas.corruptions.values import (
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
