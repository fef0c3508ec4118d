"""Each corruption against closed forms, slow twins and libraries."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.feature import canny
from skimage.util import random_noise

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions import blurs, overlays, values
from failure_atlas.corruptions.geometry import rotate, scale, shear, transform_elastically, translate, warp_about_middle
from failure_atlas.corruptions.weather import MUD, add_fog, add_snow, add_spatter, draw_plasma

IMAGES = np.random.default_rng(1).random((3, 2, 32, 28))
SIX = np.random.default_rng(1).random((6, 2, 32, 28))


def stream(place):
    return torch_stream(3, "test", place)


@pytest.mark.parametrize(("radius", "alias"), [(3, 0.1), (4, 0.5), (10, 0.5), (0.3, 0.4), (1.5, 0.1)])
def test_a_disk_has_the_area_of_a_circle_and_adds_up_to_one(radius, alias):
    disk = blurs.draw_disk(radius, alias)
    assert disk.sum() == pytest.approx(1)
    np.testing.assert_allclose(disk, disk[::-1, ::-1])
    np.testing.assert_allclose(disk, disk.T)
    if radius >= 3:
        assert 1 / disk.max() == pytest.approx(np.pi * radius**2, rel=0.1)


def test_a_point_out_of_focus_is_the_disk():
    image = np.zeros((1, 1, 41, 41))
    image[0, 0, 20, 20] = 1
    disk = blurs.draw_disk(6, 0.5)
    reach = len(disk) // 2
    middle = slice(20 - reach, 21 + reach)
    blurred = blurs.blur_defocus(image, stream, 6, 0.5)[0, 0]
    np.testing.assert_allclose(blurred[middle, middle], disk, atol=1e-15)
    assert blurred.sum() == pytest.approx(1)


def smear_slowly(image, radius, std, angle):
    result = np.zeros_like(image)
    weights = [np.exp(-(step**2) / (2 * std**2)) for step in range(2 * radius + 1)]
    height, width = image.shape
    for step, weight in enumerate(weights):
        down, right = (np.ceil(step * f(np.radians(angle)) - 0.5) for f in (np.sin, np.cos))
        for y in range(height):
            for x in range(width):
                source = min(max(int(y + down), 0), height - 1), min(max(int(x + right), 0), width - 1)
                result[y, x] += weight / sum(weights) * image[source]
    return result


@pytest.mark.parametrize("angle", [0, 30.0, -45, -100])
def test_motion_equals_its_slow_twin(angle):
    twin = smear_slowly(IMAGES[0, 0], 6, 2.0, angle)
    np.testing.assert_allclose(blurs.smear(IMAGES[0], 6, 2.0, angle)[0], twin, atol=1e-12)


def test_motion_turns_by_at_most_45_degrees():
    lines = np.zeros((40, 1, 41, 41))
    lines[:, :, 20, 20] = 1
    moved = blurs.blur_motion(lines, stream, 8, 4.0)[:, 0]
    rows, columns = (np.array([np.ptp(np.nonzero(each > 0)[axis]) for each in moved]) for axis in (0, 1))
    assert (rows <= columns).all()
    assert len(set(rows)) > 5
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), 1)


def blur_glass_slowly(image, generator, std, reach, rounds):
    """One grey image, pixel by pixel, with scipy's filter."""
    height, width = image.shape
    moves = torch_moves(generator, rounds, height, width, reach)
    image = ndimage.gaussian_filter(image, std, mode="nearest", truncate=4)
    for turn in range(rounds):
        for y in range(height - reach, reach, -1):
            for x in range(width - reach, reach, -1):
                other = y + moves[turn, y, x, 0], x + moves[turn, y, x, 1]
                image[y, x], image[other] = image[other], image[y, x]
    return ndimage.gaussian_filter(image, std, mode="nearest", truncate=4)


def torch_moves(generator, rounds, height, width, reach):
    return torch.randint(-reach, reach, (rounds, height, width, 2), generator=generator).numpy()


def test_glass_equals_its_slow_twin():
    fast = blurs.blur_glass(IMAGES, stream, 0.7, 2, 2)
    for place in range(3):
        twin = blur_glass_slowly(IMAGES[place, 1], stream(place), 0.7, 2, 2)
        np.testing.assert_allclose(fast[place, 1], twin, atol=1e-12)


def zoom_slowly(image, factor):
    size = len(image)
    kept = int(np.ceil(size / factor))
    start = (size - kept) // 2
    whole = ndimage.zoom(image[start : start + kept, start : start + kept], factor, order=1)
    trim = (len(whole) - size) // 2
    return whole[trim : trim + size, trim : trim + size]


def test_zoom_equals_its_slow_twin():
    square = IMAGES[:, :, :28]
    factors = np.arange(1, 1.21, 0.02)
    fast = blurs.blur_zoom(square, stream, 1.21, 0.02).reshape(-1, 28, 28)
    for blurred, image in zip(fast, square.reshape(-1, 28, 28), strict=True):
        twin = (image + sum(zoom_slowly(image, factor) for factor in factors)) / (len(factors) + 1)
        np.testing.assert_allclose(blurred, twin, atol=1e-12)


def test_a_quarter_turn_is_exact():
    square = SIX[:, :, :28]
    turned = rotate(square, stream, np.pi / 2)
    ways = [np.rot90(square, k, axes=(2, 3)) for k in (1, 3)]
    chosen = [[np.allclose(image, way[place], atol=1e-9) for way in ways] for place, image in enumerate(turned)]
    assert np.array(chosen).any(axis=1).all()
    assert np.array(chosen).any(axis=0).all()  # both directions are drawn


def test_translation_by_whole_pixels_is_a_shift():
    moved = translate(SIX, stream, 3.0)
    for before, after in zip(SIX, moved, strict=True):
        shifts = [ndimage.shift(before, (0, dy, dx), order=0) for dy in (-3, 3) for dx in (-3, 3)]
        assert sum(np.allclose(after, shift, atol=1e-9) for shift in shifts) == 1


def test_scale_equals_its_slow_twin():
    matrix, offset = np.diag([1.25, 1.25]), -0.25 * np.array([15.5, 13.5])
    twin = [[ndimage.affine_transform(channel, matrix, offset, order=1) for channel in image] for image in SIX]
    inner = slice(5, -5)  # both fill the frame with black, but fade differently at its edge
    np.testing.assert_allclose(scale(SIX, None, 1.25)[..., inner, inner], np.array(twin)[..., inner, inner], atol=1e-9)


def test_shear_keeps_the_middle_row_and_slants_to_both_sides():
    bar = np.zeros((20, 1, 33, 33))
    bar[..., 16] = 1
    slanted = shear(bar, stream, 0.4)[:, 0]
    np.testing.assert_allclose(slanted[:, 16], bar[:, 0, 16], atol=1e-12)
    columns = (slanted * np.arange(33)).sum(axis=2) / slanted.sum(axis=2)
    slopes = columns[:, 20] - columns[:, 16]
    np.testing.assert_allclose(np.abs(slopes), 4 * np.sin(0.4), atol=0.05)
    assert (slopes > 0).any()
    assert (slopes < 0).any()


def test_no_change_is_none():
    np.testing.assert_allclose(warp_about_middle(SIX[0], np.eye(2)), SIX[0], atol=1e-12)
    np.testing.assert_allclose(transform_elastically(SIX, stream, 0, 0, 0), SIX, atol=1e-9)


def test_elastic_without_a_field_is_an_affine_map():
    ramp = np.broadcast_to(np.linspace(0.3, 0.7, 32)[:, None], (4, 1, 32, 32)).copy()
    bent = transform_elastically(ramp, stream, 0, 0, 0.05)[..., 8:-8, 8:-8]
    for axis in (2, 3):
        np.testing.assert_allclose(np.diff(bent, 2, axis=axis), 0, atol=1e-9)
    assert (np.abs(bent - ramp[..., 8:-8, 8:-8]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_elastic_field_moves_values_but_makes_none():
    bent = transform_elastically(SIX, stream, 0.1, 0.03, 0.0)
    assert (bent != SIX).mean() > 0.5
    assert bent.min() >= SIX.min()
    assert bent.max() <= SIX.max()


@pytest.mark.parametrize("change", [rotate, shear, translate])
def test_black_comes_in_from_outside(change):
    moved = change(np.ones((4, 1, 32, 32)), stream, 1.0)
    assert (moved.min(axis=(1, 2, 3)) == 0).all()
    assert (moved[..., 12:20, 12:20] > 1 - 1e-9).all()


GREY = np.random.default_rng(1).random((3, 1, 32, 32))
WIDE = np.random.default_rng(1).random((3, 1, 32, 28))
COLOUR = np.random.default_rng(2).random((3, 3, 32, 32))


def flat(grey, n=40):
    return np.full((n, 1, 32, 32), grey)


def test_moments_on_a_flat_image():
    assert values.add_gaussian_noise(flat(0.5), stream, 0.1).std() == pytest.approx(0.1, rel=0.02)
    assert values.add_shot_noise(flat(0.4), stream, 60.0).mean() == pytest.approx(0.4, abs=0.003)
    assert values.add_shot_noise(flat(0.4), stream, 60.0).var() == pytest.approx(0.4 / 60, rel=0.03)
    assert values.add_speckle_noise(flat(0.4), stream, 0.2).std() == pytest.approx(0.4 * 0.2, rel=0.02)


def test_shot_noise_counts_photons():
    noisy = values.add_shot_noise(flat(0.5), stream, 12.0) * 12
    np.testing.assert_allclose(noisy, np.round(noisy), atol=1e-12)
    assert set(np.unique(np.round(noisy))) == set(range(13))  # more than white is white


def test_black_stays_black_under_noise_that_light_makes():
    for add in (values.add_shot_noise, values.add_speckle_noise):
        assert (add(flat(0.0), stream, 3.0) == 0).all()


def test_impulses_have_the_share_of_scikit_image():
    ours = values.add_impulse_noise(flat(0.5), stream, 0.27)
    twin = random_noise(flat(0.5), mode="s&p", amount=0.27, rng=1)
    for noisy in (ours, twin):
        assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
        assert (noisy == 0).mean() == pytest.approx(0.135, abs=0.006)
        assert (noisy == 1).mean() == pytest.approx(0.135, abs=0.006)


@pytest.mark.parametrize(
    "add", [values.add_gaussian_noise, values.add_shot_noise, values.add_impulse_noise, values.add_speckle_noise]
)
def test_channels_and_images_differ(add):
    noisy = add(np.full((2, 3, 32, 32), 0.5), stream, 0.3)
    planes = noisy.reshape(6, -1)
    assert np.abs(np.corrcoef(planes) - np.eye(6)).max() < 0.15


def test_brightness_raises_grey_by_a_constant_and_colour_in_proportion():
    np.testing.assert_allclose(values.brighten(GREY, None, 0.2), np.minimum(GREY + 0.2, 1))
    value = COLOUR.max(axis=1, keepdims=True)  # the V of HSV scales all channels
    brighter = COLOUR * np.minimum(value + 0.2, 1) / value
    np.testing.assert_allclose(values.brighten(COLOUR, None, 0.2), brighter, atol=1e-12)


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    flat = values.lower_contrast(COLOUR, None, 0.3)
    np.testing.assert_allclose(flat.mean(axis=(2, 3)), COLOUR.mean(axis=(2, 3)))
    np.testing.assert_allclose(flat.std(axis=(2, 3)), 0.3 * COLOUR.std(axis=(2, 3)))


def test_saturation_moves_channels_away_from_the_largest():
    largest, smallest = COLOUR.max(axis=1, keepdims=True), COLOUR.min(axis=1, keepdims=True)
    before = (largest - smallest) / largest
    after = np.clip(before * 1.5 + 0.1, 0, 1)
    expected = largest - (largest - COLOUR) * after / before
    np.testing.assert_allclose(values.saturate(COLOUR, None, 1.5, 0.1), expected, atol=1e-12)
    grey = np.repeat(GREY, 3, axis=1)
    np.testing.assert_allclose(values.saturate(grey, None, 2.0, 0.0), grey)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_as_many_levels_as_bits_allow(bits):
    levels = np.unique(values.quantize(GREY, None, bits))
    np.testing.assert_allclose(levels, np.arange(2**bits) / (2**bits - 1))
    assert np.abs(values.quantize(GREY, None, bits) - GREY).max() <= 0.5 / (2**bits - 1) + 1e-12


@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_jpeg_is_pillow_s(images):
    ours = values.compress_jpeg(images, None, 25)
    for place, image in enumerate(images):
        pixels = (image.transpose(1, 2, 0) * 255).round().astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=25)
        twin = np.asarray(Image.open(file)).reshape(pixels.shape)
        np.testing.assert_array_equal((ours[place].transpose(1, 2, 0) * 255).round(), twin)


def test_pixels_of_a_whole_size_are_means_of_blocks():
    blocks = COLOUR.reshape(3, 3, 16, 2, 16, 2).mean(axis=(3, 5))
    expected = blocks.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(values.pixelate(COLOUR, None, 0.5), expected, atol=1e-6)


@pytest.mark.parametrize("factor", [0.25, 0.4, 0.6, 0.95])
def test_pixels_are_pillow_s(factor):
    small = int(32 * factor)
    for image in GREY[:, 0].astype(np.float32):
        box = Image.Resampling.BOX
        twin = np.asarray(Image.fromarray(image).resize((small, small), box).resize((32, 32), box))
        found = values.pixelate(image[None, None].astype(float), None, factor)[0, 0]
        np.testing.assert_allclose(found, twin, atol=1e-5)
    np.testing.assert_allclose(values.pixel_matrix(32, factor).sum(axis=1), 1, atol=1e-6)


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
    drawn = [[draw_plasma(stream(i), 32, decay) for i in range(20)] for decay in (1.4, 3)]
    rough, smooth = np.abs(np.diff(drawn)).mean(axis=(1, 2, 3))
    assert rough > 1.5 * smooth


def test_fog_is_an_average_with_plasma_that_keeps_the_peak():
    foggy = add_fog(WIDE, stream, 2.0, 1.7)
    for place, image in enumerate(WIDE):
        plasma = draw_plasma(stream(place), 32, 1.7)[:, :28]
        expected = image.max() * (image + 2 * plasma) / (image.max() + 2)
        np.testing.assert_allclose(foggy[place], expected, atol=1e-12)
    assert (add_fog(np.zeros((1, 1, 32, 32)), stream, 2.0, 1.7) == 0).all()


def test_snow_without_flakes_whitens():
    white = add_snow(WIDE, stream, 0.0, 0.1, 1.0, 5.0, 8, 3, 0.8)
    np.testing.assert_allclose(white, np.clip(0.8 * WIDE + 0.2 * np.maximum(WIDE, 1.5 * WIDE + 0.5), 0, 1))
    assert (add_snow(WIDE, stream, 0.1, 0.2, 1.0, 0.5, 8, 3, 0.8) >= white).all()


def test_mud_covers_what_it_covers():
    muddy = add_spatter(np.ones((20, 3, 32, 32)), stream, 0.65, 0.3, 2, 0.68, 0.5)
    clean = (muddy == 1).all(axis=1)
    assert 0.3 < clean.mean() < 0.95
    darkest = muddy.min(axis=(2, 3))
    np.testing.assert_allclose(darkest, np.tile(MUD, (20, 1)), atol=1e-3)


def test_an_occluded_square_has_its_size_and_lies_anywhere_inside():
    covered = overlays.occlude(np.zeros((200, 1, 32, 32)), stream, 0.25)[:, 0] == 0.5
    assert (covered.sum(axis=(1, 2)) == 64).all()
    assert (covered.any(axis=1).sum(axis=1) == 8).all()
    tops = covered.any(axis=2).argmax(axis=1)
    assert (tops.min(), tops.max()) == (0, 24)


def test_stripes_are_inverted_and_nothing_else():
    striped = overlays.invert_stripes(WIDE, None, 0.25)  # 7 of 28 columns, as in MNIST-C
    np.testing.assert_array_equal(striped[..., 7:21], WIDE[..., 7:21])
    np.testing.assert_array_equal(striped[..., :7], 1 - WIDE[..., :7])
    np.testing.assert_array_equal(striped[..., 21:], 1 - WIDE[..., 21:])


def test_a_line_fades_with_the_distance_from_its_middle():
    line = overlays.draw_line(9, np.array([4.0, 4.5]))
    assert line[4, 0] == 1
    assert line[4, 1] == line[5, 1] == pytest.approx(np.log(1 - 0.5 / 2.3) + 1)
    assert line[3, 0] == pytest.approx(np.log(1 - 1 / 2.3) + 1)
    assert (line[:3] == 0).all()


@pytest.mark.parametrize(("add", "columns"), [(overlays.add_dotted_line, 13), (overlays.add_zigzag, 24)])
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
    np.testing.assert_array_equal(overlays.show_edges(image[None, None], None, 1.0)[0, 0], edges)
    np.testing.assert_allclose(overlays.show_edges(image[None, None], None, 0.4)[0, 0], 0.6 * image + 0.4 * edges)
