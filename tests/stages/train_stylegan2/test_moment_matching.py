"""Moment matching against the Frechet distance, and its running moments against whole ones."""

import numpy as np
import pytest
import torch

from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.stylegan2.feature_critic import READY, MomentMatching, symmetric_root

FEATURES, SAMPLES = 5, 4000


def draw(seed: int, scale: float, shift: float) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    mixing = torch.randn(FEATURES, FEATURES, generator=stream, dtype=torch.float64) * scale
    return torch.randn(SAMPLES, FEATURES, generator=stream, dtype=torch.float64) @ mixing + shift


def see(matching: MomentMatching, features: torch.Tensor, decay: float = 0.0) -> None:
    matching.observe(features.mean(dim=0), features.T @ features / len(features), decay)


@pytest.fixture
def real() -> torch.Tensor:
    return draw(1, 1.0, 0.5)


@pytest.fixture
def generated() -> torch.Tensor:
    return draw(2, 0.7, 0.0)


@pytest.fixture
def matching(real: torch.Tensor, generated: torch.Tensor) -> MomentMatching:
    matching = MomentMatching(FEATURES)
    matching.take_real(real)
    see(matching, generated)
    return matching


def test_the_loss_is_the_frechet_distance_over_the_real_variance(
    matching: MomentMatching, real: torch.Tensor, generated: torch.Tensor
) -> None:
    distance = frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(generated.numpy()))
    variance = float(np.trace(np.cov(real.numpy().T)))
    assert float(matching.loss(generated)) == pytest.approx(distance / variance, rel=2e-3)


def test_steps_along_its_gradient_give_the_features_the_real_moments(
    matching: MomentMatching, real: torch.Tensor, generated: torch.Tensor
) -> None:
    leaf = generated.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(matching.loss(leaf), leaf)
    variance = matching.real_covariance.trace()
    moved = generated - gradient * SAMPLES * variance / 2  # the whole way
    distance = frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(moved.numpy()))
    assert distance < 1e-3 * frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(generated.numpy()))


def test_equal_moments_give_no_lesson(real: torch.Tensor) -> None:
    matching = MomentMatching(FEATURES)
    matching.take_real(real)
    see(matching, real)
    assert float(matching.loss(real)) == pytest.approx(0, abs=1e-6)


def test_running_moments_forget_with_the_stated_half_life_and_are_ready_in_time(
    real: torch.Tensor, generated: torch.Tensor
) -> None:
    matching = MomentMatching(FEATURES)
    matching.take_real(real)
    decay = 0.5 ** (1 / 10)  # a half-life of ten batches
    ready = []
    for _ in range(10):
        see(matching, generated, decay)
        ready.append(matching.ready)
    assert ready == [False] * 4 + [True] * 6
    assert float(matching.weight) == pytest.approx(0.5)
    for _ in range(14):
        see(matching, real, decay)
    # 24 batches: the transport is that of just now, three times eight
    kept = decay**14
    expected = (generated.mean(dim=0) * kept / 2 + real.mean(dim=0) * (1 - kept)) / (kept / 2 + 1 - kept)
    torch.testing.assert_close(matching.generated_mean, expected)
    assert pytest.approx(1 - 2**-0.5) == READY


def test_root_squares_to_the_matrix() -> None:
    factor = draw(3, 1.0, 0.0)[:8]
    matrix = factor.T @ factor
    root = symmetric_root(matrix)
    torch.testing.assert_close(root @ root, matrix)
    torch.testing.assert_close(root, root.T)
