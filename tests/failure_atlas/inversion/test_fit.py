"""Distances between an image and its reconstruction, by hand."""

import numpy as np
import pytest

from failure_atlas.inversion.fit import measure_fit

BAR = np.full((1, 1, 32, 32), 40, np.uint8)
BAR[:, :, 4:28, 12:18] = 200


def test_root_mean_squares_by_hand():
    dot, chequered = BAR.copy(), BAR + 51 * (np.indices((32, 32)).sum(axis=0) % 2)  # 51 is 0.2 of white
    dot[0, 0, 16, 25] += 51
    fit = measure_fit(np.repeat(BAR, 3, axis=0), np.concatenate([BAR + 10, dot, chequered]).astype(np.uint8))
    kernel = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    kernel /= kernel.sum()
    np.testing.assert_allclose(fit["rmse"], [10 / 255, 0.2 / 32, 0.2 / np.sqrt(2)])
    np.testing.assert_allclose(fit["structure_rmse"][:2], [10 / 255, 0.2 * (kernel**2).sum() / 32], rtol=1e-6)
    assert fit["structure_rmse"][2] == pytest.approx(0.1, abs=0.002), "the mean, and nothing of the squares"


def test_equal_images_have_no_error_and_more_noise_or_blur_has_a_sign():
    noisy, blurred = (BAR + np.random.default_rng(1).normal(0, 12, BAR.shape)).astype(np.uint8), BAR.copy()
    blurred[:, :, 4:28, [11, 18]], blurred[:, :, 4:28, [10, 19]] = 146, 93
    fit = measure_fit(np.concatenate([BAR, noisy, BAR, noisy, BAR]), np.concatenate([BAR, noisy, noisy, BAR, blurred]))
    assert not fit.loc[:1, ["rmse", "structure_rmse", "noise_error", "edge_error"]].to_numpy().any()
    assert fit["noise"][1] == fit["noise_error"][2] == -fit["noise_error"][3] == pytest.approx(12 / 255, rel=0.2)
    assert fit["edge_error"][4] > 0.5
    assert measure_fit(BAR, noisy, figures=False)["noise_error"][0] == pytest.approx(12 / 255, rel=0.2)
