"""Corruptions: closed forms, scipy as the slow twin, and noise that depends on nothing but its own image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from failure_atlas.core.seeds import numpy_stream, torch_stream
from failure_atlas.corruptions.blurs import blur, blur_matrix
from failure_atlas.corruptions.corruptions import corrupt, draw_severities
from failure_atlas.corruptions.registry import CIFAR_C, IMAGENET_C, REGISTRY, choose_steps

TABLES = list(REGISTRY["gaussian_noise"].tables)


def stream(key, index):
    return torch_stream(5, "test", key, index)


def paper_steps(table):
    return choose_steps(["gaussian_blur", "gaussian_noise"], table)


def random_images(n, channels=1, height=32, width=32):
    images = np.random.default_rng(0).integers(0, 256, (n, channels, height, width), np.uint8)
    images[:, :, 8:-8, 8:-8] = 255  # a bright middle, so that clipping and edges both happen
    return images


def corrupt_slowly(images, blur_severity, noise_severity, table):
    """Blur and noise, one image and one channel at a time, with scipy's filter."""
    (blur_std, noise_std) = (step.rows for step in paper_steps(table))
    result = images.copy()
    for i in range(len(images)):
        if not (blur_severity[i] or noise_severity[i]):
            continue
        grey = images[i] / 255
        if blur_severity[i]:
            std = blur_std[blur_severity[i] - 1][0]
            grey = np.stack([ndimage.gaussian_filter(one, std, mode="nearest", truncate=4) for one in grey])
        if noise_severity[i]:
            drawn = torch.randn(*grey.shape, generator=stream("noise", i), dtype=torch.float64).numpy()
            grey = grey + drawn * noise_std[noise_severity[i] - 1][0]
        result[i] = np.round(np.clip(grey, 0, 1) * 255)
    return result


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 28, 31), (3, 128, 128)])
def test_equals_the_slow_twin(name, channels, height, width):
    severities = np.array([(b, n) for b in range(6) for n in range(6)], np.uint8)[:: 1 if height < 100 else 7]
    images = random_images(len(severities), channels, height, width)
    fast = corrupt(images, severities.T, paper_steps(name), stream)
    slow = corrupt_slowly(images, *severities.T, name)
    assert np.abs(fast.astype(int) - slow).max() <= 1
    assert (fast != slow).mean() < 1e-4
    np.testing.assert_array_equal(fast[0], images[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.floats(0.3, 8))
def test_blur_keeps_a_flat_image_and_the_grey_range(size, std):
    matrix = blur_matrix(size, std, torch.float64)
    torch.testing.assert_close(matrix.sum(1), torch.ones(size, dtype=torch.float64))
    assert matrix.min() >= 0


def test_blur_spreads_a_point_into_the_outer_product_of_two_gaussians():
    image = torch.zeros(1, 1, 41, 31, dtype=torch.float64)
    image[0, 0, 20, 15] = 1
    spread = blur(image, 2.0)[0, 0]
    y, x = torch.meshgrid(torch.arange(41) - 20.0, torch.arange(31) - 15.0, indexing="ij")
    gauss = torch.exp(-(x**2 + y**2) / 8) * ((x.abs() <= 8) & (y.abs() <= 8))
    torch.testing.assert_close(spread, (gauss / gauss.sum()).to(torch.float64), rtol=1e-6, atol=1e-9)


def test_input_is_not_changed_and_progress_counts_every_corrupted_image():
    images, done = random_images(10), []
    before = images.copy()
    severity = np.array([0, 1, 2, 3, 0, 1, 2, 3, 1, 1], np.uint8)
    corrupt(images, np.stack([severity] * 2), paper_steps(CIFAR_C), stream, batch_size=2, advance=done.append)
    np.testing.assert_array_equal(images, before)
    assert sum(done) == 8


def test_steps_follow_each_other_in_the_order_of_the_recipe():
    images = random_images(6)
    severity = np.full((2, 6), 3, np.uint8)
    names = ["pixelate", "gaussian_blur"]
    one, other = (corrupt(images, severity, choose_steps(order, IMAGENET_C), stream) for order in (names, names[::-1]))
    assert (one != other).any()
    unit = images / 255
    for name in names:
        unit = REGISTRY[name].change(unit, None, *REGISTRY[name].tables[IMAGENET_C][2])
    np.testing.assert_array_equal(one, np.round(unit * 255))
    # What a step draws depends on none before it: contrast leaves a flat image as it is.
    flat, noise = np.full((3, 1, 32, 32), 128, np.uint8), ["gaussian_noise"]
    alone, after = (
        corrupt(flat, np.full((len(order), 3), 2, np.uint8), choose_steps(order, IMAGENET_C), stream)
        for order in (noise, ["contrast", *noise])
    )
    np.testing.assert_array_equal(alone, after)


def test_the_first_two_steps_have_the_severities_of_a_shorter_recipe():
    two, three = (draw_severities(50, 0.5, [1, 2, 3], numpy_stream(3, "test"), steps=steps) for steps in (2, 3))
    np.testing.assert_array_equal(two, three[:2])
    assert three.shape == (3, 50)
    np.testing.assert_array_equal(three[2] == 0, two[0] == 0)


@pytest.mark.parametrize(("fraction", "clean"), [(0.5, 501), (0.0, 0), (1.0, 1001), (0.25, 250)])
def test_exactly_the_asked_share_stays_clean(fraction, clean):
    blur_severity, noise_severity = draw_severities(1001, fraction, [1, 2, 3], numpy_stream(3, "test"))
    assert abs(np.count_nonzero(blur_severity == 0) - clean) <= 1
    np.testing.assert_array_equal(blur_severity == 0, noise_severity == 0)


def test_severities_are_drawn_evenly_independently_and_scattered():
    blur_severity, noise_severity = draw_severities(90_000, 0.5, [1, 2, 4], numpy_stream(3, "test"))
    pairs = np.unique(np.stack([blur_severity, noise_severity]), axis=1, return_counts=True)
    assert pairs[0].T.tolist() == [[0, 0], *([b, n] for b in (1, 2, 4) for n in (1, 2, 4))]
    np.testing.assert_allclose(pairs[1][1:], 5000, atol=300)
    first, second = np.count_nonzero(blur_severity[:45_000]), np.count_nonzero(blur_severity[45_000:])
    assert abs(first - second) < 1500
