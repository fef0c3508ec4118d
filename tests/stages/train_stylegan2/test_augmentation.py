"""The digit-safe augmentations and the controller of their probability."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from failure_atlas.stylegan2.augmentation import (
    MAX_PROBABILITY,
    AdaptiveProbability,
    Augmentation,
    augment,
    draw_augmentation,
)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_probability_zero_is_the_identity() -> None:
    images = torch.rand(5, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(augment(images, draw_augmentation(5, 0.0, stream())), images, atol=1e-5, rtol=0)


def test_each_transformation_strikes_its_share_of_images() -> None:
    drawn = draw_augmentation(20_000, 0.3, stream())
    struck = {"contrast": drawn.contrast != 1, "brightness": drawn.brightness != 0, "shift": drawn.matrix[:, 0, 2] != 0}
    for name, mask in struck.items():
        assert float(mask.float().mean()) == pytest.approx(0.3, abs=0.015), name
    both = (struck["contrast"] & struck["brightness"]).float().mean()
    assert float(both) == pytest.approx(0.09, abs=0.01)  # drawn apart


def test_no_flip_and_no_quarter_turn() -> None:
    matrix = draw_augmentation(20_000, 1.0, stream()).matrix
    determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]
    angle = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])).abs()
    assert float(determinant.min()) > 0
    assert float(angle.quantile(0.99)) < 30
    assert float(angle.max()) < 60


def test_a_shift_moves_pixels_and_fills_with_background() -> None:
    images = torch.full((1, 1, 32, 32), 1.0)
    matrix = torch.tensor([[[1.0, 0.0, 4 * 2 / 32], [0.0, 1.0, 0.0]]])  # read 4 px to the right
    moved = augment(images, Augmentation(matrix, torch.ones(1), torch.zeros(1)))
    torch.testing.assert_close(moved[..., :28], images[..., :28])
    torch.testing.assert_close(moved[..., 28:], torch.full((1, 1, 32, 4), -1.0))


def test_moving_reads_as_grid_sample_does() -> None:
    images = torch.rand(6, 2, 12, 20, generator=stream(1)) * 2 - 1
    matrix = draw_augmentation(6, 1.0, stream(2)).matrix
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    expected = functional.grid_sample(images + 1, grid, mode="bilinear", padding_mode="zeros", align_corners=False) - 1
    moved = augment(images, Augmentation(matrix, torch.ones(6), torch.zeros(6)))
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_contrast_and_brightness_are_affine_in_the_values() -> None:
    images = torch.rand(2, 1, 8, 8)
    identity = torch.eye(2, 3).expand(2, -1, -1)
    changed = augment(images, Augmentation(identity, torch.tensor([2.0, 1.0]), torch.tensor([0.0, 0.25])))
    torch.testing.assert_close(changed[0], images[0] * 2)
    torch.testing.assert_close(changed[1], images[1] + 0.25)


def test_the_gradient_reaches_the_images() -> None:
    images = torch.rand(3, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    drawn = draw_augmentation(3, 1.0, stream())
    assert torch.autograd.gradcheck(lambda x: augment(x, drawn).sum(dim=(1, 2, 3)), images)


def test_controller_rises_when_the_discriminator_is_too_sure_at_the_stated_speed() -> None:
    control = AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=500)
    for sign, after in ((0.9, 4 * 64 / 500_000), (0.3, 0)):
        before = control.probability
        for _ in range(4):
            assert control.probability == before
            control.observe(sign, 64)
        assert control.probability == pytest.approx(after)
    control, seen = AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=10), 0
    while control.probability < 0.5:
        control.observe(1.0, 32)
        seen += 32
    assert seen == pytest.approx(5000, abs=4 * 32)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_controller_stays_within_its_bounds(signs: list[float]) -> None:
    control = AdaptiveProbability(target=0.6, interval_steps=1, adjustment_kimg=0.2)
    for sign in signs:
        control.observe(sign, 32)
        assert 0 <= control.probability <= MAX_PROBABILITY


def test_target_zero_switches_augmentation_off() -> None:
    control = AdaptiveProbability(target=0.0, interval_steps=1, adjustment_kimg=0.1)
    control.observe(1.0, 1000)
    assert control.probability == 0


def test_equal_streams_draw_equal_transformations() -> None:
    first, second = (draw_augmentation(8, 0.5, stream(3)) for _ in range(2))
    for each, again in zip(vars(first).values(), vars(second).values(), strict=True):
        assert torch.equal(each, again)
        assert torch.isfinite(each).all()
