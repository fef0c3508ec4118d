"""Noise against its moments; tone, compression, weather and overlays against closed forms, twins and libraries."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.feature import canny
from skimage.util import random_noise

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.overlays import (
    add_dotted_line,
    add_zigzag,
    draw_line,
    invert_stripes,
    occlude,
    show_edges,
)
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
from failure_atlas.corruptions.weather import MUD, add_fog, add_snow, add_spatter, draw_plasma

GREY = np.random.default_rng(1).random((3, 1, 32, 32))
IMAGES = np.random.default_rng(1).random((3, 1, 32, 28))
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


def draw_plasma_slowly(generator, size, decay):
    """Point by point, every point from its four neighbours on the torus."""
    grid, step, reach = np.zeros((size, size)), size, 1.0
    while step >= 2:
        half, cells = step // 2, size // step
        moves = (torch.rand(3, cells, cells, generator=generator, dtype=torch.float64).numpy() * 2 - 1) * reach
        for i in range(cells):
            for j in range(cells):
                y, x = i * step, j * step
                corners = [grid[(y + a) % size, (x + b) % size] for a in (0, step) for b in (0, step)]
                grid[y + half, x + half] = np.mean(corners) + moves[0, i, j]
        for i in range(cells):
            for j in range(cells):
                y, x = i * step, j * step
                for move, row, column in ((1, y, x + half), (2, y + half, x)):
                    around = [(row - half, column), (row + half, column), (row, column - half), (row, column + half)]
                    grid[row, column] = np.mean([grid[a % size, b % size] for a, b in around]) + moves[move, i, j]
        step, reach = half, reach / decay**2
    return (grid - grid.min()) / np.ptp(grid)


def test_plasma_equals_its_slow_twin():
    twin = draw_plasma_slowly(stream(0), 16, 1.7)
    np.testing.assert_allclose(draw_plasma(stream(0), 16, 1.7), twin, atol=1e-12)


def test_a_low_decay_is_rough():
    rough, smooth = (
        np.mean([np.abs(np.diff(draw_plasma(stream(i), 32, d))).mean() for i in range(20)]) for d in (1.4, 3)
    )
    assert rough > 1.5 * smooth


def test_fog_is_an_average_with_plasma_that_keeps_the_peak():
    foggy = add_fog(IMAGES, stream, 2.0, 1.7)
    for place, image in enumerate(IMAGES):
        plasma = draw_plasma(stream(place), 32, 1.7)[:, :28]
        expected = image.max() * (image + 2 * plasma) / (image.max() + 2)
        np.testing.assert_allclose(foggy[place], expected, atol=1e-12)
    assert (add_fog(np.zeros((1, 1, 32, 32)), stream, 2.0, 1.7) == 0).all()


def test_snow_without_flakes_whitens():
    white = add_snow(IMAGES, stream, 0.0, 0.1, 1.0, 5.0, 8, 3, 0.8)
    np.testing.assert_allclose(white, np.clip(0.8 * IMAGES + 0.2 * np.maximum(IMAGES, 1.5 * IMAGES + 0.5), 0, 1))
    assert (add_snow(IMAGES, stream, 0.1, 0.2, 1.0, 0.5, 8, 3, 0.8) >= white).all()


def test_mud_covers_what_it_covers():
    muddy = add_spatter(np.ones((20, 3, 32, 32)), stream, 0.65, 0.3, 2, 0.68, 0.5)
    clean = (muddy == 1).all(axis=1)
    assert 0.3 < clean.mean() < 0.95
    darkest = muddy.min(axis=(2, 3))
    np.testing.assert_allclose(darkest, np.tile(MUD, (20, 1)), atol=1e-3)


def test_an_occluded_square_has_its_size_and_lies_anywhere_inside():
    covered = occlude(np.zeros((200, 1, 32, 32)), stream, 0.25)[:, 0] == 0.5
    assert (covered.sum(axis=(1, 2)) == 64).all()
    assert (covered.any(axis=1).sum(axis=1) == 8).all()
    tops = covered.any(axis=2).argmax(axis=1)
    assert (tops.min(), tops.max()) == (0, 24)


def test_stripes_are_inverted_and_nothing_else():
    striped = invert_stripes(IMAGES, None, 0.25)  # 7 of 28 columns, as in MNIST-C
    np.testing.assert_array_equal(striped[..., 7:21], IMAGES[..., 7:21])
    np.testing.assert_array_equal(striped[..., :7], 1 - IMAGES[..., :7])
    np.testing.assert_array_equal(striped[..., 21:], 1 - IMAGES[..., 21:])


def test_a_line_fades_with_the_distance_from_its_middle():
    line = draw_line(9, np.array([4.0, 4.5]))
    assert line[4, 0] == 1
    assert line[4, 1] == line[5, 1] == pytest.approx(np.log(1 - 0.5 / 2.3) + 1)
    assert line[3, 0] == pytest.approx(np.log(1 - 1 / 2.3) + 1)
    assert (line[:3] == 0).all()


@pytest.mark.parametrize(("add", "columns"), [(add_dotted_line, 13), (add_zigzag, 24)])
def test_lines_span_the_image_at_their_opacity(add, columns):
    drawn = add(np.zeros((30, 1, 28, 28)), stream, 0.5)[:, 0]
    seen = (drawn > 0).any(axis=1).sum(axis=1)
    assert seen.max() == columns
    np.testing.assert_allclose(drawn.max(axis=(1, 2)), 0.5, atol=0.15)
    np.testing.assert_allclose(add(np.zeros((30, 1, 28, 28)), stream, 1.0)[:, 0] / 2, drawn)


def test_edges_are_scikit_image_s():
    image = ndimage.gaussian_filter(np.random.default_rng(2).random((32, 32)), 2)
    image = (image - image.min()) / np.ptp(image)
    edges = canny(image)
    assert edges.any()
    np.testing.assert_array_equal(show_edges(image[None, None], None, 1.0)[0, 0], edges)
    np.testing.assert_allclose(show_edges(image[None, None], None, 0.4)[0, 0], 0.6 * image + 0.4 * edges)
