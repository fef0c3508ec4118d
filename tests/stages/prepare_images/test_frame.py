"""Frames: padding, scaling, grey and colour."""

import numpy as np
import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import BadImageError, Frame, check_shown, frame_all, frame_image

GREY_32 = Frame(32, 1, "pad")


@pytest.mark.parametrize(("height", "width", "top", "left"), [(28, 28, 2, 2), (31, 32, 0, 0), (29, 2, 1, 15)])
def test_frame_is_black_and_centred(height, width, top, left):
    images = np.full((2, height, width), 9, np.uint8)
    framed = frame_all(images, GREY_32)
    assert framed.shape == (2, 1, 32, 32)
    assert framed.sum(dtype=int) == images.sum(dtype=int)
    np.testing.assert_array_equal(framed[:, 0, top : top + height, left : left + width], images)


def test_images_larger_than_the_frame():
    with pytest.raises(
        StageError,
        match=r"size_px: got 32, but the images are 28 x 40 px; raise it, or set prepare_images\.fit: resize",
    ):
        frame_all(np.zeros((1, 40, 28), np.uint8), GREY_32)


def test_smaller_is_the_mean_of_the_area():
    stream = np.random.default_rng(1)
    image = stream.integers(0, 256, (64, 64, 3), np.uint8)
    blocks = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    framed = frame_image(image, Frame(32, 3, "resize"))
    np.testing.assert_allclose(framed, np.moveaxis(blocks, -1, 0), atol=1)  # rows and columns are rounded apart


def test_larger_keeps_a_straight_slope_straight():
    image = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[None], 16, axis=0)
    row = frame_image(image, Frame(32, 1, "resize"))[0, 5].astype(int)
    assert np.diff(row)[1:-1].tolist() == [5] * 29


def test_resize_pads_to_a_square_first():
    image = np.full((10, 40), 200, np.uint8)
    framed = frame_image(image, Frame(64, 1, "resize"))[0]
    assert framed.shape == (64, 64)
    assert not framed[:23].any()
    assert not framed[-23:].any()
    assert (framed[26:38] == 200).all()


def test_grey_becomes_three_equal_channels_and_colour_becomes_luminance():
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    colour = frame_image(grey, Frame(32, 3, "pad"))
    assert colour.shape == (3, 32, 32)
    np.testing.assert_array_equal(colour, np.repeat(frame_image(grey, GREY_32), 3, axis=0))
    red, green, blue = (np.eye(3, dtype=np.uint8) * 255)[:, None, None].repeat(4, 1).repeat(4, 2)
    shown = [int(frame_image(pixels, GREY_32).max()) for pixels in (red, green, blue)]
    np.testing.assert_allclose(shown, [0.299 * 255, 0.587 * 255, 0.114 * 255], atol=1)


@pytest.mark.parametrize(
    "pixels", [np.zeros((0, 5), np.uint8), np.full((4, 4), 7, np.uint8), np.full((4, 4, 3), [9, 1, 5])]
)
def test_what_shows_nothing_is_empty(pixels):
    with pytest.raises(BadImageError) as caught:
        check_shown(pixels)
    assert caught.value.kind == "empty"


def test_one_other_pixel_is_something():
    pixels = np.full((4, 4, 3), 9, np.uint8)
    pixels[3, 3, 2] = 8
    check_shown(pixels)
