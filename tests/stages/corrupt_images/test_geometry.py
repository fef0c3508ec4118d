"""Changes of shape against moves whose answer is known, and scipy as a slow twin."""

import numpy as np
import pytest
from scipy import ndimage

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.geometry import rotate, scale, shear, transform_elastically, translate, warp_about_middle

IMAGES = np.random.default_rng(1).random((6, 2, 32, 28))


def stream(place):
    return torch_stream(3, "test", place)


def test_a_quarter_turn_is_exact():
    square = IMAGES[:, :, :28]
    turned = rotate(square, stream, np.pi / 2)
    ways = [np.rot90(square, k, axes=(2, 3)) for k in (1, 3)]
    chosen = [[np.allclose(image, way[place], atol=1e-9) for way in ways] for place, image in enumerate(turned)]
    assert np.array(chosen).any(axis=1).all()
    assert np.array(chosen).any(axis=0).all()  # both directions are drawn


def test_translation_by_whole_pixels_is_a_shift():
    moved = translate(IMAGES, stream, 3.0)
    for before, after in zip(IMAGES, moved, strict=True):
        shifts = [ndimage.shift(before, (0, dy, dx), order=0) for dy in (-3, 3) for dx in (-3, 3)]
        assert sum(np.allclose(after, shift, atol=1e-9) for shift in shifts) == 1


def test_scale_equals_its_slow_twin():
    twin = [
        [
            ndimage.affine_transform(channel, np.diag([1.25, 1.25]), -0.25 * np.array([15.5, 13.5]), order=1)
            for channel in image
        ]
        for image in IMAGES
    ]
    inner = slice(5, -5)  # both fill the frame with black, but fade differently at its edge
    np.testing.assert_allclose(
        scale(IMAGES, None, 1.25)[..., inner, inner], np.array(twin)[..., inner, inner], atol=1e-9
    )


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
    np.testing.assert_allclose(warp_about_middle(IMAGES[0], np.eye(2)), IMAGES[0], atol=1e-12)
    np.testing.assert_allclose(transform_elastically(IMAGES, stream, 0, 0, 0), IMAGES, atol=1e-9)


def test_elastic_without_a_field_is_an_affine_map():
    ramp = np.broadcast_to(np.linspace(0.3, 0.7, 32)[:, None], (4, 1, 32, 32)).copy()
    bent = transform_elastically(ramp, stream, 0, 0, 0.05)[..., 8:-8, 8:-8]
    for axis in (2, 3):
        np.testing.assert_allclose(np.diff(bent, 2, axis=axis), 0, atol=1e-9)
    assert (np.abs(bent - ramp[..., 8:-8, 8:-8]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_elastic_field_moves_values_but_makes_none():
    bent = transform_elastically(IMAGES, stream, 0.1, 0.03, 0.0)
    assert (bent != IMAGES).mean() > 0.5
    assert bent.min() >= IMAGES.min()
    assert bent.max() <= IMAGES.max()


@pytest.mark.parametrize("change", [rotate, shear, translate])
def test_black_comes_in_from_outside(change):
    moved = change(np.ones((4, 1, 32, 32)), stream, 1.0)
    assert (moved.min(axis=(1, 2, 3)) == 0).all()
    assert (moved[..., 12:20, 12:20] > 1 - 1e-9).all()
