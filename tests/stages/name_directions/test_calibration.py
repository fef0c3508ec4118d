"""Known noise and blur are read back, and their side effects taken away."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import ndimage

from failure_atlas.directions.calibration import BLUR_STD_PX, NOISE_STD, Calibration, calibrate, corrupt_known
from failure_atlas.directions.measurements import EDGE, NAMES, NOISE, measure_images
from failure_atlas.images.image_set import Severities
from stages.name_directions.figures import draw_calibration

LEARNED = 30


@pytest.fixture(scope="module")
def calibration(digits, stream):
    return calibrate(digits[:LEARNED], stream)


def test_the_corruption_is_scipys_blur_and_clipped_normal_noise(digits):
    blurred = corrupt_known(digits[:3], 0.0, 1.0, np.random.default_rng(1))
    twin = ndimage.gaussian_filter(digits[:3] / 255, (0, 0, 1, 1), mode="nearest", truncate=4)
    assert np.abs(blurred - twin * 255).max() <= 0.5 + 1e-6
    grey = np.full((1, 1, 200, 200), 128, np.uint8)
    noisy = corrupt_known(grey, 0.1, 0.0, np.random.default_rng(1)) / 255
    assert noisy.std() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("noise", "blur_px"), [(0.0, 0.0), (0.08, 0.0), (0.15, 0.0), (0.0, 1.2), (0.08, 1.2), (0.12, 2.0)]
)
def test_levels_between_those_tried_are_read_from_other_images(calibration, digits, noise, blur_px):
    images = corrupt_known(digits[LEARNED : LEARNED + 40], noise, blur_px, np.random.default_rng(2))
    read_noise, read_blur = calibration.read_levels(measure_images(images))
    assert read_noise.mean() == pytest.approx(noise, abs=0.015)
    assert read_blur.mean() == pytest.approx(blur_px, abs=0.3)


def test_mending_takes_the_widening_of_blur_out_of_thickness(calibration, digits):
    images = digits[LEARNED : LEARNED + 40]
    blurred = corrupt_known(images, 0.0, 1.5, np.random.default_rng(2))
    thickness = NAMES.index("thickness")
    clean, raw = measure_images(images), measure_images(blurred)
    widened = (raw - clean)[:, thickness].mean()
    left = (calibration.mend(raw) - calibration.mend(clean))[:, thickness].mean()
    assert widened > 0.8
    assert abs(left) < 0.4 * widened
    assert (calibration.mend(raw) - calibration.mend(clean))[:, EDGE].mean() > 1


def closed_form():
    """Noise measures sigma itself, the edge 1 + blur; the third column is 5 * noise + blur, the others are constant."""
    noise, blur = np.array(NOISE_STD), np.array(BLUR_STD_PX)
    mean = np.zeros((len(noise), len(blur), len(NAMES)))
    mean[..., NOISE] = noise[:, None]
    mean[..., EDGE] = 1 + blur
    mean[..., 2] = 5 * noise[:, None] + blur
    return Calibration(noise, blur, mean, np.zeros_like(mean), 10)


def test_linear_responses_are_inverted_and_their_side_effects_mended_exactly_and_held_at_the_ends():
    values = np.zeros((4, len(NAMES)))
    values[:, NOISE], values[:, EDGE] = [0.07, 0.9, 0.0, np.nan], [1.7, 99, 0.2, np.nan]
    noise, blur = closed_form().read_levels(values)
    np.testing.assert_allclose(noise, [0.07, NOISE_STD[-1], 0, np.nan], atol=1e-6)
    np.testing.assert_allclose(blur, [0.7, BLUR_STD_PX[-1], 0, np.nan], atol=1e-6)
    values = values[:1]
    values[:, 2] = 3 + 5 * 0.07 + 0.7
    mended = closed_form().mend(values)
    np.testing.assert_allclose(mended[0, [2, EDGE, NOISE]], [3, 1.7, 0.07], atol=1e-6)
    assert values[0, 2] == pytest.approx(3 + 0.35 + 0.7)  # the input stays as it was


def test_blank_images_cannot_calibrate(stream):
    with pytest.raises(ValueError, match=r"0 images show a stroke at noise 0\.0 and blur 0\.0 px"):
        calibrate(np.zeros((4, 1, 32, 32), np.uint8), stream)


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [(("blur", "noise"), ["noise", "blur"]), (("noise", "fog"), ["noise"]), (("blur",), ["blur"]), (("fog",), [])],
)
def test_levels_of_each_severity_are_drawn_of_what_the_recipe_holds(steps, kinds):
    """Images of severity 0, 1, 2, four each, that need a noise of 0.1 and a blur of 1 px for each level."""
    severity = np.repeat([0, 1, 2], 4).astype(np.uint8)
    values = np.zeros((12, len(NAMES)))
    values[:, NOISE], values[:, EDGE] = 0.1 * severity, 1.0 + severity
    figure, table = draw_calibration(closed_form(), values, Severities(dict.fromkeys(steps, severity)))
    plt.close(figure)
    levels = table[table["panel"] == "real corrupted"]
    assert levels["corruption"].tolist() == np.repeat(kinds, 3).tolist()
    expected = {"noise": [0, 0.1, 0.2], "blur": [0, 1, 2]}
    np.testing.assert_allclose(
        levels["value"].astype(float), [each for kind in kinds for each in expected[kind]], atol=1e-6
    )
    assert (levels["n"] == 4).all()
    panel = figure.axes[2]
    assert panel.get_title() == f"read from real corrupted test images\n(n={12 if kinds else 0}, 95 % intervals)"
    nothing = ["corrupted neither by blur\nnor by noise"]
    assert [text.get_text() for text in panel.texts] == ([] if kinds else nothing)
