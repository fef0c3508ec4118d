"""Frames: padding, scaling, grey and colour; copies, against a slow twin; classes with too few images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.images import problems
from failure_atlas.images.frame import BadImageError, Frame, check_shown, frame_all, frame_image, tell_changes
from tests.refusing import refused

GREY_32 = Frame(32, 1, "pad")


@pytest.mark.parametrize(("height", "width", "top", "left"), [(28, 28, 2, 2), (31, 32, 0, 0), (29, 2, 1, 15)])
def test_frame_is_black_and_centred(height, width, top, left):
    images = np.full((2, height, width), 9, np.uint8)
    framed = frame_all(images, GREY_32)
    assert (framed.shape, framed.sum(dtype=int)) == ((2, 1, 32, 32), images.sum(dtype=int))
    np.testing.assert_array_equal(framed[:, 0, top : top + height, left : left + width], images)


def test_images_larger_than_the_frame():
    told = r"size_px: got 32, but the images are 28 x 40 px; raise it, or set prepare_images\.fit: resize"
    refused(told, frame_all, np.zeros((1, 40, 28), np.uint8), GREY_32)


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


@pytest.mark.parametrize(("height", "width"), [(100, 45), (17, 20), (32, 32), (1, 40)])
def test_stretch_scales_each_side_as_pytorch_does_without_antialiasing(height, width):
    image = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    channels_first = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    twin = torch.nn.functional.interpolate(channels_first, (64, 64), mode="bilinear", align_corners=False)[0].numpy()
    frame = Frame(64, 3, "stretch")
    assert np.abs(frame_image(image, frame) - twin).max() <= 0.5 + 1e-9
    assert tell_changes(image.shape, frame) == ["resized"]
    assert tell_changes((64, 64, 3), frame) == []


def test_grey_becomes_three_equal_channels_and_colour_becomes_luminance():
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    colour = frame_image(grey, Frame(32, 3, "pad"))
    assert colour.shape == (3, 32, 32)
    np.testing.assert_array_equal(colour, np.repeat(frame_image(grey, GREY_32), 3, axis=0))
    red, green, blue = (np.eye(3, dtype=np.uint8) * 255)[:, None, None].repeat(4, 1).repeat(4, 2)
    shown = [int(frame_image(pixels, GREY_32).max()) for pixels in (red, green, blue)]
    np.testing.assert_allclose(shown, [0.299 * 255, 0.587 * 255, 0.114 * 255], atol=1)


def test_what_shows_nothing_is_empty_and_one_other_pixel_is_something():
    for pixels in (np.zeros((0, 5), np.uint8), np.full((4, 4), 7, np.uint8), np.full((4, 4, 3), [9, 1, 5])):
        with pytest.raises(BadImageError) as caught:
            check_shown(pixels)
        assert caught.value.kind == "empty"
    pixels = np.full((4, 4, 3), 9, np.uint8)
    pixels[3, 3, 2] = 8
    check_shown(pixels)


IMAGES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(["train", "test"])), max_size=12)


def labelled(rows):
    images = np.array([pixel for pixel, _, _ in rows], np.uint8).reshape(-1, 1, 1, 1)
    return images, [problems.Label(split, f"{split}/{row}", name) for row, (_, name, split) in enumerate(rows)]


def tell_slowly(rows, index):
    """Kind of one image's problem, or None, by looking at all others."""
    pixel, name, split = rows[index]
    copies = [(other, at) for at, other in enumerate(rows) if at != index and other[0] == pixel]
    if any(other[1] != name for other, _ in copies):
        return "conflict"
    if split == "train" and any(other[2] == "test" for other, _ in copies):
        return "leak"
    return "duplicate" if any(other[2] == split and at < index for other, at in copies) else None


@settings(max_examples=100, deadline=None)
@given(IMAGES)
def test_copies_are_told_as_a_slow_twin_tells_them(rows):
    found = problems.find_copies(*labelled(rows))
    expected = {index: kind for index in range(len(rows)) if (kind := tell_slowly(rows, index))}
    assert {index: problem.kind for index, problem in found.items()} == expected
    left = [row for index, row in enumerate(rows) if index not in found]
    assert len({pixel for pixel, _, _ in left}) == len(left)  # nothing occurs twice after dropping


def test_details_name_the_other_image():
    train, test = [(1, "a", "train"), (1, "a", "train"), (2, "a", "train")], [(2, "a", "test"), (3, "a", "test")]
    rows = [*train, *test, (3, "b", "test")]
    found = problems.find_copies(*labelled(rows))
    assert {index: (problem.kind, problem.detail) for index, problem in found.items()} == {
        1: ("duplicate", "same pixels as train/0"),
        2: ("leak", "same pixels as the test image test/3"),
        4: ("conflict", "same pixels as test image test/5, which is of class 'b'"),
        5: ("conflict", "same pixels as test image test/4, which is of class 'a'"),
    }
    table = problems.tabulate_problems(problems.with_action(list(found.values()), "kept"))
    assert list(table.columns) == ["split", "image", "class", "problem", "detail", "action"]
    assert table.iloc[0].tolist() == ["train", "train/1", "a", "duplicate", "same pixels as train/0", "kept"]
    counts = dict.fromkeys(problems.KINDS, 0) | {"duplicate": 1, "leak": 1, "conflict": 2}
    assert problems.count_problems(list(found.values())) == counts
    assert list(problems.tabulate_problems([]).columns) == list(table.columns)
    problems.refuse_problems([], 6, Path("own"), Path("problems.csv"))
    told = r"own: 4 of 6 images have a problem: 1 duplicate, 1 leak, 2 conflict\. First: train image train/1: duplicate"
    refused(told, problems.refuse_problems, list(found.values()), 6, Path("own"), Path("problems.csv"))


def test_small_classes_are_named():
    problems.check_class_sizes({"a": (10, 2)}, 10, 2)
    counts = {"a": (9, 5), "b": (10, 2), "c": (50, 1), "d": (0, 0), "e": (0, 9)}
    told = r"'a' \(9 training, 5 test\), 'c' \(50 training, 1 test\), 'd' \(0 training, 0 test\) and 1 more; each "
    refused(f"^4 of 5 classes have too few images: {told}needs at least 10", problems.check_class_sizes, counts, 10, 2)
