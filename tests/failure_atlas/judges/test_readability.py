"""The model of people, on images whose noise is known because the corruptions themselves added it."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from failure_atlas.core.seeds import numpy_stream, torch_stream
from failure_atlas.corruptions.corruptions import corrupt
from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.images.image_set import to_unit
from failure_atlas.judges.readability import measure_noise, weigh_readability
from failure_atlas.world.show import JUDGE, World

SIDE = 32
LEVELS = {1: 0.08, 2: 0.12, 3: 0.18}  # of gaussian_noise, table imagenet-c
LEFT_ON_BLACK = np.sqrt(0.5 - 0.5 / np.pi)  # standard deviation of a standard normal variable that is clipped at 0


def draw_strokes(n, bar=0.9):
    """Images [n, 1, 32, 32] uint8 of two crossing bars on black."""
    random, images = np.random.default_rng(0), np.zeros((n, 1, SIDE, SIDE))
    for image, (row, column) in zip(images, random.integers(6, 22, (n, 2)), strict=True):
        image[:, row : row + 4, 4:28] = bar
        image[:, 4:28, column : column + 4] = bar
    return np.round(images * 255).astype(np.uint8)


def add_noise(images, level):
    (step,) = choose_steps(["gaussian_noise"], "imagenet-c")
    severities = np.full((1, len(images)), level, np.uint8)
    return corrupt(images, severities, [step], lambda key, index: torch_stream(1, key, index))


@pytest.mark.parametrize("level", LEVELS)
def test_the_measured_noise_is_what_clipping_left_of_the_noise_that_was_added(level):
    known, strokes = LEVELS[level], draw_strokes(60, bar=0.5)
    found = measure_noise(add_noise(strokes, level))
    ground = ndimage.maximum_filter(strokes, (1, 1, 9, 9)) == 0
    core = ndimage.minimum_filter(strokes, (1, 1, 3, 3)) > 0
    assert found[ground].mean() == pytest.approx(known * LEFT_ON_BLACK, rel=0.1)
    assert found[core].mean() == pytest.approx(known, rel=0.15), "a grey bar keeps what was added"
    even = measure_noise(add_noise(np.full((60, 1, SIDE, SIDE), 115, np.uint8), level))
    assert np.median(even) == pytest.approx(known, rel=0.05)
    assert (np.abs(np.median(even, axis=(1, 2, 3)) / known - 1) < 0.2).all()


def test_strokes_alone_are_no_noise():
    assert measure_noise(draw_strokes(20)).max() == 0


class Reader:
    """An ideal reader of two signals in white noise: the brighter half of the image is the class."""

    def __call__(self, images):
        left, right = images[..., : SIDE // 2].mean(dim=(1, 2, 3)), images[..., SIDE // 2 :].mean(dim=(1, 2, 3))
        self.seen = images
        return torch.stack([left - right, right - left], dim=1) * 1e4


def make_world(batch_size=7):
    return World(lambda styles: styles, {JUDGE: Reader()}, batch_size, classes=2)


def stream(row):
    return numpy_stream(1, row)


def make_halves(n, contrast, std):
    """Images of grey noise, their left half brighter by the contrast."""
    values = 0.5 + std * np.random.default_rng(5).standard_normal((n, 1, SIDE, SIDE))
    values[..., : SIDE // 2] += contrast
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def test_signal_to_noise_falls_by_the_root_of_ten():
    # An ideal reader of the difference of two means, of p pixels each, is right in Phi(contrast / std * sqrt(p / 2)).
    contrast, std, n = 0.012, 0.1, 2000
    images = make_halves(n, contrast, std)
    world = make_world(n)
    weight = weigh_readability(world, images, np.zeros(n, int), stream)
    seen = world.networks[JUDGE].seen.double().numpy() - images / 255
    assert seen.std() == pytest.approx(3 * std, rel=0.02), "nine times the power that is there"
    plain = (world.ask(JUDGE, to_unit(images)).argmax(dim=1) == 0).double().mean()
    assert float(plain) == pytest.approx(0.97, abs=0.02)  # Phi(1.92)
    assert (weight > 0.5).mean() == pytest.approx(0.728, abs=0.03)  # Phi(1.92 / sqrt(10))


def test_an_image_without_noise_is_asked_about_as_it_is():
    images = draw_strokes(5)
    world = make_world()
    weight = weigh_readability(world, images, np.ones(5, int), stream)
    expected = world.ask(JUDGE, to_unit(images)).double().softmax(dim=1)[:, 1]
    np.testing.assert_allclose(weight, expected)


def test_neither_batches_nor_other_images_change_an_answer():
    images, labels = make_halves(11, 0.012, 0.1), np.zeros(11, int)
    expected = weigh_readability(make_world(11), images, labels, stream)
    np.testing.assert_allclose(weigh_readability(make_world(2), images, labels, stream), expected, rtol=1e-3, atol=1e-6)
    alone = weigh_readability(make_world(), images[4:5], labels[4:5], lambda _: stream(4))
    np.testing.assert_allclose(alone, expected[4:5], rtol=1e-3, atol=1e-6)
    assert weigh_readability(make_world(), images[:0], labels[:0], stream).shape == (0,)
