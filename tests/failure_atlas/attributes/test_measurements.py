"""Measurements against bars and rings of known shape, slow twins, and known noise and blur that are read back."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number, label
from skimage.morphology import skeletonize

from failure_atlas.attributes import calibration as calibrating
from failure_atlas.attributes import outline
from failure_atlas.attributes.registry import BLUR, GREYS, NAMES, NOISE, measure_images
from failure_atlas.attributes.spectrum import fit_spectrum, measure_spectrum
from failure_atlas.attributes.view import find_centreline, to_grey
from tests.strokes import calibrate_closed_form, measure_closed_form


def measure(*images):
    values = measure_images(calibrating.round_grey(np.stack(images))[:, None])
    return {name: values[:, column] for column, name in enumerate(NAMES[:GREYS])}


def ring(radius, thickness=3.0, x=15.5, y=15.5):
    yy, xx = np.mgrid[:32, :32]
    return np.clip(thickness / 2 + 0.5 - np.abs(np.hypot(xx - x, yy - y) - radius), 0, 1)


def test_a_bar_has_its_thickness_place_and_area(draw_bar):
    """In the mean over places between pixels: all the edge of one upright bar would fall on one step."""
    thickness = np.array([4.0, 5.0, 6.0, 7.0])
    bars = [draw_bar(value, 26, lean=0.1, x=x) for value in thickness for x in np.linspace(15, 16, 6)]
    found = {name: values.reshape(4, 6).mean(axis=1) for name, values in measure(*bars).items()}
    np.testing.assert_allclose(found["thickness"], thickness, rtol=0.1)  # rounded ends count as thin
    np.testing.assert_allclose(np.diff(found["thickness"]), 1, atol=0.2)
    np.testing.assert_allclose(found["area"], thickness * 26, rtol=0.06)
    moved = measure(draw_bar(x=12.5, y=17.0))
    assert (moved["x"][0], moved["y"][0]) == (pytest.approx(12.5, abs=0.05), pytest.approx(17.0, abs=0.3))


@pytest.mark.parametrize("lean", [-0.4, 0.0, 0.3])
def test_a_leaning_bar_has_its_slant_and_its_upright_width(draw_bar, lean):
    found = measure(draw_bar(lean=lean))
    assert found["slant"][0] == pytest.approx(np.degrees(np.arctan(lean)), abs=1.0)
    # Blurred ends round the bar: height 18, width 4, both within a pixel.
    assert found["size"][0] == pytest.approx(np.sqrt(18 * 4), rel=0.06)
    assert found["aspect"][0] == pytest.approx(np.log(18 / 4), abs=0.15)


def test_height_and_width_of_a_box_are_as_with_a_ruler_and_no_speck_stretches_them(draw_bar):
    shapes = np.array([[18.0, 4.0], [12.0, 9.5], [7.0, 21.0], [11.25, 11.25]])
    specked = draw_bar(9.5, 12.0)
    specked[1, 1] = 1
    found = measure(*(draw_bar(wide, high, x=15.3, y=14.8) for high, wide in shapes), specked)
    for side, wanted in zip(("height", "width"), np.vstack([shapes, [12, 9.5]]).T, strict=True):
        np.testing.assert_allclose(found[side], wanted, atol=0.5)
    np.testing.assert_allclose(found["elongation"], found["height"] / found["width"])
    leaning = measure(draw_bar(4, 18, lean=0.4))
    assert 8 < leaning["width"][0] < 4 + 0.4 * 18, "but for its sharp ends"
    assert leaning["elongation"][0] < np.exp(leaning["aspect"][0]) / 2, "which takes the slant out"


def test_length_holes_and_pieces_are_measured(draw_bar):
    long, short = measure(draw_bar(length=22), draw_bar(length=14))["length"]
    assert long - short == pytest.approx(8, abs=1.0)  # ends are rounded by less than a pixel
    eight = np.maximum(ring(4, y=10), ring(4, y=20))
    two = np.maximum(draw_bar(x=9), draw_bar(x=22))
    found = measure(ring(7), eight, draw_bar(), two)
    np.testing.assert_array_equal(found["holes"], [1, 2, 0, 0])
    np.testing.assert_array_equal(found["pieces"], [1, 1, 1, 2])


def test_grey_and_flanks_do_not_depend_on_each_other(draw_bar):
    bar = draw_bar(thickness=6)
    found = measure(bar, 0.5 * bar, ndimage.gaussian_filter(bar, 1.0))
    np.testing.assert_allclose(found["contrast"][:2], [1, 0.5], atol=0.03)
    assert found["blur"][1] == pytest.approx(found["blur"][0], rel=0.02)
    assert found["blur"][2] > 1.5 * found["blur"][0]


def test_a_background_that_is_not_clipped_shows_the_noise_that_was_added(draw_bar):
    random = np.random.default_rng(1)
    bars = [0.3 + 0.5 * draw_bar() + sigma * random.standard_normal((32, 32)) for sigma in (0.02, 0.05, 0.08)]
    np.testing.assert_allclose(measure(*bars)["noise"], [0.02, 0.05, 0.08], rtol=0.15)


def test_noise_breaks_no_stroke_and_opens_no_hole(digits):
    """The denoising before the cut is enough at the strongest noise of the default data, 0.18."""
    clean = measure_images(digits)
    noisy = measure_images(calibrating.corrupt_known(digits, 0.18, 0.0, np.random.default_rng(1)))
    for name in ("holes", "pieces"):
        column = NAMES.index(name)
        assert (clean[:, column] == noisy[:, column]).mean() > 0.9, name
    column = NAMES.index("thickness")
    assert np.abs(clean[:, column] - noisy[:, column]).mean() < 0.3


def test_an_image_that_shows_nothing_is_nan_and_changes_no_other(draw_bar):
    empty, faint = np.zeros((32, 32)), np.full((32, 32), 0.4)
    values = measure_images(calibrating.round_grey(np.stack([empty, draw_bar(), faint]))[:, None])
    assert np.isnan(values[[0, 2]]).all()
    np.testing.assert_array_equal(values[1:2], measure_images(calibrating.round_grey(draw_bar()[None])[:, None]))
    assert measure_images(np.zeros((0, 1, 32, 32), np.uint8)).shape == (0, GREYS)


def test_of_colours_the_luminance_is_measured(digits):
    found = measure_images(np.repeat(digits[:5], 3, axis=1))
    np.testing.assert_allclose(found[:, :GREYS], measure_images(digits[:5]))
    np.testing.assert_allclose(found[:, GREYS:], 0, atol=1e-12)
    colours = np.random.default_rng(1).integers(0, 256, (2, 3, 4, 5), np.uint8)
    wanted = (0.299 * colours[:, 0] + 0.587 * colours[:, 1] + 0.114 * colours[:, 2]) / 255
    np.testing.assert_allclose(to_grey(colours), wanted)
    np.testing.assert_array_equal(to_grey(colours[:, :1]), colours[:, 0].astype(np.float64) / 255)


def test_colours_are_shares_of_the_light_whatever_the_brightness():
    pure = np.zeros((4, 3, 32, 32), np.uint8)
    pure[[0, 1, 2], [0, 1, 2]] = 200
    pure[3, 0, :16], pure[3, 2, 16:] = 60, 60  # half red, half blue
    found = measure_images(pure, figures=False)
    np.testing.assert_allclose(found[:, GREYS:], [[1, -0.5, 1.25**0.5], [-1, -0.5, 1.25**0.5], [0, 1, 1],
                                                  [0.5, 0.25, (1.25**0.5 + 1) / 2]])  # fmt: skip
    np.testing.assert_allclose(measure_images(pure // 2, figures=False)[:, GREYS:], found[:, GREYS:])
    assert not measure_images(pure * 0, figures=False)[:, GREYS:].any()


def test_a_whole_image_shows_its_noise_its_blur_and_its_grey(digits):
    random = np.random.default_rng(1)
    mosaic = random.integers(60, 196, (20, 1, 8, 8)).repeat(4, 2).repeat(4, 3).astype(np.uint8)
    noise, flank, contrast, brightness, *shape = measure_images(mosaic, figures=False).T
    np.testing.assert_allclose(brightness, mosaic.mean(axis=(1, 2, 3)) / 255)
    assert not np.any(shape)
    changed = [calibrating.corrupt_known(mosaic, *level, random) for level in ((0.08, 0.0), (0.0, 1.5))]
    noisy, blurred = (measure_images(images, figures=False) for images in changed)
    assert (noisy[:, 0] > noise).all()
    assert (blurred[:, 1] > flank).all()
    even = measure_images(np.full((1, 1, 32, 32), 90, np.uint8), figures=False)
    np.testing.assert_allclose(even[0, :4], [0, 32, 0, 90 / 255], atol=1e-12)
    dimmer = measure_images(mosaic // 2, figures=False)
    np.testing.assert_allclose(dimmer[:, 2], contrast / 2, atol=0.01)


def test_frames_are_a_reversible_strip_and_equal_the_slow_twins(digits):
    mask = outline.outline_strokes(digits[:12, 0] / 255).mask
    np.testing.assert_array_equal(outline.split_frames(outline.join_frames(mask), 12), mask)
    twin = np.stack([skeletonize(np.pad(m, 1))[1:-1, 1:-1] for m in mask])
    np.testing.assert_array_equal(find_centreline(mask), twin)
    pieces = np.array([label(m, connectivity=2).max() for m in mask])
    holes = pieces - [euler_number(np.pad(m, 1), connectivity=2) for m in mask]
    np.testing.assert_array_equal(outline.count_holes(mask, 1), holes)


def test_specks_are_dropped_and_enlarging_keeps_planes():
    mask = np.zeros((2, 20, 20), bool)
    mask[:, 2:12, 2:12] = True
    mask[0, 15:17, 15:17] = True  # 4 of 104 pixels
    mask[1, 14:17, 14:17] = True  # 9 of 109
    kept, pieces = outline.drop_specks(mask)
    np.testing.assert_array_equal(pieces, [1, 2])
    np.testing.assert_array_equal(kept.sum(axis=(1, 2)), [100, 109])
    plane = np.arange(8) * 2.0 + 1
    enlarged = outline.enlarge_matrix(8) @ plane
    np.testing.assert_allclose(enlarged[1:-1], ((np.arange(16) + 0.5) / 2 - 0.5)[1:-1] * 2 + 1)
    np.testing.assert_allclose(enlarged[[0, -1]], plane[[0, -1]])


LEARNED = 60
LEVELS = list(product((0.0, 0.05, 0.1, 0.18), (0.0, 0.7, 1.2, 2.0, 2.5)))  # most lie between those tried


@pytest.fixture(scope="module")
def calibration(digits, stream):
    return calibrating.calibrate(digits[:LEARNED], stream)


def test_the_corruption_is_scipys_blur_and_clipped_normal_noise(digits):
    blurred = calibrating.corrupt_known(digits[:3], 0.0, 1.0, np.random.default_rng(1))
    twin = ndimage.gaussian_filter(digits[:3] / 255, (0, 0, 1, 1), mode="nearest", truncate=4)
    assert np.abs(blurred - twin * 255).max() <= 0.5 + 1e-6
    grey = np.full((1, 1, 200, 200), 128, np.uint8)
    noisy = calibrating.corrupt_known(grey, 0.1, 0.0, np.random.default_rng(1)) / 255
    assert noisy.std() == pytest.approx(0.1, rel=0.02)


def test_noise_and_blur_are_read_of_other_images_in_batches_of_any_size(calibration, digits):
    for noise, blur_px in LEVELS:
        images = calibrating.corrupt_known(digits[LEARNED:], noise, blur_px, np.random.default_rng(2))
        values = calibration.measure(images)
        read_noise, read_blur = calibration.read_levels(values)
        assert read_noise.mean() == pytest.approx(noise, abs=0.015), (noise, blur_px)
        assert read_blur.mean() == pytest.approx(blur_px, abs=0.35), (noise, blur_px)
    for size in (1, 7):
        parts = [calibration.measure(images[first : first + size]) for first in range(0, len(images), size)]
        np.testing.assert_array_equal(np.concatenate(parts), values)
        np.testing.assert_allclose(np.concatenate([calibration.read(part) for part in parts]), calibration.read(values))


def test_blur_of_frames_of_64_px_is_read_as_that_of_32(digits):
    random = np.random.default_rng(1)
    for wide in (1, 2):
        images = np.tile(digits, (1, 1, wide, wide))
        tried = [
            (calibrating.corrupt_known(images[:LEARNED], *each, random), each[1])
            for each in product(calibrating.NOISE_STD, calibrating.BLUR_STD_PX)
        ]
        powers = np.concatenate([measure_spectrum(to_grey(each)) for each, _ in tried])
        reader = fit_spectrum(powers, np.repeat([level for _, level in tried], LEARNED))
        for level in LEVELS:
            found = reader.read(measure_spectrum(to_grey(calibrating.corrupt_known(images[LEARNED:], *level, random))))
            assert np.clip(found, 0, 3).mean() == pytest.approx(level[1], abs=0.35), (wide, level)


def test_a_blurred_stroke_is_read_as_it_stands_and_mended_for_names_of_directions_alone(calibration, digits):
    images = digits[LEARNED:]
    blurred = calibrating.corrupt_known(images, 0.0, 1.5, np.random.default_rng(2))
    thickness = NAMES.index("thickness")
    clean, raw = calibration.measure(images), calibration.measure(blurred)
    widened = (raw - clean)[:, thickness].mean()
    left = calibration.mend(raw) - calibration.mend(clean)
    assert widened > 0.8
    assert (calibration.read(raw) - calibration.read(clean))[:, thickness].mean() == pytest.approx(widened)
    assert abs(left[:, thickness].mean()) < 0.4 * widened
    assert left[:, BLUR].mean() > 1


def test_linear_responses_are_inverted_and_their_side_effects_mended_exactly_and_held_at_the_ends():
    form, values = calibrate_closed_form(), measure_closed_form([0.07, 0.9, 0.0, np.nan], [0.7, 98, -0.8, np.nan])
    for levels in (form.read_levels(values), form.read(values)[:, [NOISE, BLUR]].T):
        np.testing.assert_allclose(levels[0], [0.07, calibrating.NOISE_STD[-1], 0, np.nan], atol=1e-6)
        np.testing.assert_allclose(levels[1], [0.7, calibrating.BLUR_STD_PX[-1], 0, np.nan], atol=1e-6)
    values = values[:1]
    values[:, 2] = 3 + 5 * 0.07 + 0.7
    mended = form.mend(values)
    np.testing.assert_allclose(mended[0, [2, BLUR, NOISE]], [3, 1.7, 0.07], atol=1e-6)
    assert values[0, 2] == pytest.approx(3 + 0.35 + 0.7)  # the input stays as it was
    assert mended.shape == form.read(values).shape == (1, GREYS)


def test_blank_images_cannot_calibrate(stream):
    with pytest.raises(ValueError, match=r"0 images show a stroke at noise 0\.0 and blur 0\.0 px"):
        calibrating.calibrate(np.zeros((4, 1, 32, 32), np.uint8), stream)


def test_the_ground_is_read_through_noise_that_is_clipped(draw_bar):
    random = np.random.default_rng(1)
    bars = [ground + (0.9 - ground) * draw_bar() for ground in (0.0, 0.2, 0.4)]
    noisy = [bar + 0.1 * random.standard_normal((32, 32)) for bar in bars]
    for images, off in ((bars, 0.005), (noisy, 0.02)):
        found = measure(*images)
        np.testing.assert_allclose(found["brightness"], [0, 0.2, 0.4], atol=off)
        np.testing.assert_allclose(found["contrast"], [0.9, 0.7, 0.5], atol=2.5 * off + 0.02)


@pytest.mark.parametrize("degrees", [-60, -20, 0, 35, 75, 90])
def test_a_turned_bar_has_its_rotation_which_comes_round(draw_bar, degrees):
    turned = ndimage.rotate(draw_bar(), -degrees, reshape=False, order=1)
    found = measure(turned)["rotation"][0]
    assert -90 < found <= 90
    assert (found - degrees + 90) % 180 - 90 == pytest.approx(0, abs=1.0)


def test_the_share_of_the_outline_on_the_frame_is_that_of_a_cut_bar(draw_bar):
    whole, bottom, both = draw_bar(), draw_bar(6, 24, y=24), draw_bar(6, 60)
    # 6 of 6 + 2 x 20 + 6 px, where half the bar's 24 px and 8 px more are inside; both ends, or all but the sides.
    found = measure(whole, bottom, both)["cut_off"]
    np.testing.assert_allclose(found, [0, 6 / (6 + 2 * 20 + 6), 12 / (12 + 2 * 32)], atol=0.01)
    np.testing.assert_array_equal(outline.count_edges(np.ones((1, 3, 4), bool)), [[14], [0]])


def test_people_read_what_stands_in_the_image_and_of_its_scene(digits):
    form = calibrate_closed_form()
    form.mean[..., NAMES.index("rotation")] = form.mean[..., 2]
    values = form.measure(digits[:5])
    read, rest = form.read(values), [column for column in range(GREYS) if column not in (NOISE, BLUR)]
    wanted = values[:, :GREYS].copy()
    wanted[:, NAMES.index("aspect")] = np.exp(wanted[:, NAMES.index("aspect")])
    np.testing.assert_array_equal(read[:, rest], wanted[:, rest])
    mended, angle = form.mend(values), NAMES.index("rotation")
    np.testing.assert_array_equal(mended[:, angle], values[:, angle])  # it comes round: a mean effect says nothing
    assert (mended[:, 2] != values[:, 2]).all()
    kinds = calibrate_closed_form(scene=calibrating.Scene(strokes=False)).read(values)
    assert {name for name, column in zip(NAMES, kinds[0], strict=False) if np.isnan(column)} == {
        *("thickness", "pieces", "length")
    }


def test_the_spread_of_an_angle_is_that_on_a_circle():
    values, labels = np.zeros((200, GREYS)), np.repeat([0, 1], 100)
    angles = np.random.default_rng(1).normal(90, 5, 200) + 40 * labels
    values[:, NAMES.index("rotation")] = (angles + 90) % 180 - 90
    assert np.ptp(values[:, NAMES.index("rotation")]) > 150
    assert calibrating.measure_scatter(values, labels)[NAMES.index("rotation")] == pytest.approx(5, rel=0.15)
