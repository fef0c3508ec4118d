"""Measurements against bars and rings of known shape, and against slow twins."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import euler_number, label
from skimage.morphology import skeletonize

from failure_atlas.directions import outline
from failure_atlas.directions.calibration import corrupt_known, round_grey
from failure_atlas.directions.measurements import GREYS, NAMES, measure_images, to_grey
from failure_atlas.directions.shape import find_centreline


def measure(*images):
    values = measure_images(round_grey(np.stack(images))[:, None])
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
    assert moved["x"][0] == pytest.approx(12.5, abs=0.05)
    assert moved["y"][0] == pytest.approx(17.0, abs=0.3)


@pytest.mark.parametrize("lean", [-0.4, 0.0, 0.3])
def test_a_leaning_bar_has_its_slant_and_its_upright_width(draw_bar, lean):
    found = measure(draw_bar(lean=lean))
    assert found["slant"][0] == pytest.approx(np.degrees(np.arctan(lean)), abs=1.0)
    # Blurred ends round the bar: height 18, width 4, both within a pixel.
    assert found["size"][0] == pytest.approx(np.sqrt(18 * 4), rel=0.06)
    assert found["aspect"][0] == pytest.approx(np.log(18 / 4), abs=0.15)


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
    np.testing.assert_allclose(found["intensity"][:2], [1, 0.5], atol=0.03)
    assert found["edge"][1] == pytest.approx(found["edge"][0], rel=0.02)
    assert found["edge"][2] > 1.5 * found["edge"][0]


def test_a_background_that_is_not_clipped_shows_the_noise_that_was_added(draw_bar):
    random = np.random.default_rng(1)
    bars = [0.3 + 0.5 * draw_bar() + sigma * random.standard_normal((32, 32)) for sigma in (0.02, 0.05, 0.08)]
    np.testing.assert_allclose(measure(*bars)["noise"], [0.02, 0.05, 0.08], rtol=0.15)


def test_noise_breaks_no_stroke_and_opens_no_hole(digits):
    """The denoising before the cut is enough at the strongest noise of the default data, 0.18."""
    clean = measure_images(digits)
    noisy = measure_images(corrupt_known(digits, 0.18, 0.0, np.random.default_rng(1)))
    for name in ("holes", "pieces"):
        column = NAMES.index(name)
        assert (clean[:, column] == noisy[:, column]).mean() > 0.9, name
    column = NAMES.index("thickness")
    assert np.abs(clean[:, column] - noisy[:, column]).mean() < 0.3


def test_each_image_is_measured_on_its_own_and_an_empty_one_is_nan(digits, draw_bar):
    together = measure_images(digits[:20])
    alone = np.concatenate([measure_images(digits[index : index + 1]) for index in range(20)])
    np.testing.assert_array_equal(together, alone)
    empty, faint = np.zeros((32, 32)), np.full((32, 32), 0.4)
    values = measure_images(round_grey(np.stack([empty, draw_bar(), faint]))[:, None])
    assert np.isnan(values[[0, 2]]).all()
    np.testing.assert_array_equal(values[1:2], measure_images(round_grey(draw_bar()[None])[:, None]))
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
    noise, edge, intensity, *shape = measure_images(mosaic, figures=False).T
    np.testing.assert_allclose(intensity, mosaic.mean(axis=(1, 2, 3)) / 255)
    assert not np.any(shape)
    noisy, blurred = (
        measure_images(corrupt_known(mosaic, *level, random), figures=False) for level in ((0.08, 0.0), (0.0, 1.5))
    )
    assert (noisy[:, 0] > noise).all()
    assert (blurred[:, 1] > edge).all()
    even = measure_images(np.full((1, 1, 32, 32), 90, np.uint8), figures=False)
    np.testing.assert_allclose(even[0, :3], [0, 32, 90 / 255])


def test_frames_are_a_reversible_strip_and_equal_the_slow_twins(digits):
    mask = outline.outline_strokes(digits[:12, 0] / 255).mask
    np.testing.assert_array_equal(outline.split_frames(outline.join_frames(mask), 12), mask)
    np.testing.assert_array_equal(
        find_centreline(mask), np.stack([skeletonize(np.pad(m, 1))[1:-1, 1:-1] for m in mask])
    )
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
