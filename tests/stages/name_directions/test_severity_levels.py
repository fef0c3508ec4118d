"""Noise and blur read from images corrupted by the paper's recipe, and by others."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from failure_atlas.directions.calibration import Calibration
from failure_atlas.directions.measurements import EDGE, MEASUREMENTS, NOISE
from failure_atlas.images.image_set import Severities
from stages.name_directions.figures import draw_calibration, read_severity_levels, tabulate_calibration

NOISE_STD, BLUR_STD_PX = np.array([0.0, 0.1, 0.2]), np.array([0.0, 1.0, 2.0])


def calibrate_by_hand():
    """Measured noise is twice the known one, measured width of flanks 1 px more than the blur."""
    mean = np.zeros((3, 3, len(MEASUREMENTS)))
    mean[:, :, NOISE], mean[:, :, EDGE] = 2 * NOISE_STD[:, None], 1 + BLUR_STD_PX
    return Calibration(NOISE_STD, BLUR_STD_PX, mean, np.full_like(mean, 0.01), 50)


def measure_by_hand(noise, blur):
    values = np.zeros((len(noise), len(MEASUREMENTS)))
    values[:, NOISE], values[:, EDGE] = 2 * noise, 1 + blur
    return values


def read(*steps):
    severity = np.repeat([0, 1, 2], 4).astype(np.uint8)
    values = measure_by_hand(0.1 * severity, 1.0 * severity)
    return read_severity_levels(calibrate_by_hand(), values, Severities(dict.fromkeys(steps, severity)))


def draw(levels):
    figure = draw_calibration(tabulate_calibration(calibrate_by_hand()), levels)
    title, texts = figure.axes[2].get_title(), [text.get_text() for text in figure.axes[2].texts]
    plt.close(figure)
    return title, texts


def test_levels_of_each_severity():
    levels = read("blur", "noise")
    assert levels["corruption"].tolist() == ["noise"] * 3 + ["blur"] * 3
    np.testing.assert_allclose(levels["value"], [0, 0.1, 0.2, 0, 1, 2], atol=1e-9)
    assert levels["n"].tolist() == [4] * 6
    assert draw(levels) == ("read from real corrupted test images\n(n=12, 95 % intervals)", [])


@pytest.mark.parametrize(("steps", "kinds"), [(("noise", "fog"), {"noise"}), (("blur",), {"blur"}), (("fog",), set())])
def test_only_what_the_recipe_holds_can_be_compared(steps, kinds):
    levels = read(*steps)
    assert set(levels["corruption"]) == kinds
    title, texts = draw(levels)
    assert f"n={12 if kinds else 0}" in title
    assert texts == ([] if kinds else ["corrupted neither by blur\nnor by noise"])
