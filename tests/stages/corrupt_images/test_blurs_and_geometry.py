"""Blurs and changes of shape against closed forms and slow twins."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.blurs import (
    blur_defocus,
    blur_glass,
    blur_motion,
    blur_zoom,
    draw_disk,
    smear,
    zoom_matrix,
)
from failure_atlas.corruptions.geometry import rotate, scale, shear, transform_elastically, translate, warp_about_middle

IMAGES = np.random.default_rng(1).random((3, 2, 32, 28))
SIX = np.random.default_rng(1).random((6, 2, 32, 28))


def stream(place):
    return torch_stream(3, "test", place)


@pytest.mark.parametrize(("radius", "alias"), [(3, 0.1), (4, 0.5), (10, 0.5), (0.3, 0.4), (1.5, 0.1)])
def test_a_disk_has_the_area_of_a_circle_and_adds_up_to_one(radius, alias):
    disk = draw_disk(radius, alias)
    assert disk.sum() == pytest.approx(1)
    np.testing.assert_allclose(disk, disk[::-1, ::-1])
    np.testing.assert_allclose(disk, disk.T)
    if radius >= 3:
        assert 1 / disk.max() == pytest.approx(np.pi * radius**2, rel=0.1)


def test_a_point_out_of_focus_is_the_disk():
    image = np.zeros((1, 1, 41, 41))
    image[0, 0, 20, 20] = 1
    disk = draw_disk(6, 0.5)
    reach = len(disk) // 2
    middle = slice(20 - reach, 21 + reach)
    blurred = blur_defocus(image, stream, 6, 0.5)[0, 0]
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
    np.testing.assert_allclose(smear(IMAGES[0], 6, 2.0, angle)[0], twin, atol=1e-12)


def test_motion_turns_by_at_most_45_degrees():
    lines = np.zeros((40, 1, 41, 41))
    lines[:, :, 20, 20] = 1
    moved = blur_motion(lines, stream, 8, 4.0)[:, 0]
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
    fast = blur_glass(IMAGES, stream, 0.7, 2, 2)
    for place in range(3):
        twin = blur_glass_slowly(IMAGES[place, 1], stream(place), 0.7, 2, 2)
        np.testing.assert_allclose(fast[place, 1], twin, atol=1e-12)


def test_glass_without_blur_only_moves_pixels_the_same_way_in_all_channels():
    moved = blur_glass(IMAGES, stream, 0.05, 1, 2)
    pairs, before = (np.sort(each.reshape(3, 2, -1), axis=-1) for each in (moved, IMAGES))
    np.testing.assert_allclose(pairs, before)
    both = {tuple(pixel) for pixel in IMAGES[0].reshape(2, -1).T.round(9)}
    assert both == {tuple(pixel) for pixel in moved[0].reshape(2, -1).T.round(9)}


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
    fast = blur_zoom(square, stream, 1.21, 0.02).reshape(-1, 28, 28)
    for blurred, image in zip(fast, square.reshape(-1, 28, 28), strict=True):
        twin = (image + sum(zoom_slowly(image, factor) for factor in factors)) / (len(factors) + 1)
        np.testing.assert_allclose(blurred, twin, atol=1e-12)


@pytest.mark.parametrize("factor", [1.0, 1.07, 1.3, 2.5, 4.5])
def test_a_flat_image_stays_flat_when_enlarged(factor):
    np.testing.assert_allclose(zoom_matrix(32, factor).sum(axis=1), 1)


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
    twin = [
        [
            ndimage.affine_transform(channel, np.diag([1.25, 1.25]), -0.25 * np.array([15.5, 13.5]), order=1)
            for channel in image
        ]
        for image in SIX
    ]
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
