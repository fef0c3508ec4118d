"""Images of a linear generator with noise are inverted; what they were made from is known.

w has four coordinates, s five: s = w A + b. The first three paint patterns of pixels, so does the last, which w does
not move; the fourth is the strength of the noise.
"""

from typing import Any

import numpy as np
import pytest
import torch

from failure_atlas.images.image_set import to_bytes
from failure_atlas.inversion import invert as module
from failure_atlas.inversion.invert import EVIDENCE, LEAST_VARIANCE, Inverted, choose_nearest, measure_misfit
from failure_atlas.search.domain import Domain
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.world.show import World

SIDE, STD, FARTHEST = 48, np.array([2.0, 1.0, 0.5, 0.04, 4.0]), module.FARTHEST_STYLE_STD
MIX = np.float32(np.diag(STD)[:4] * [1, 1, 1, 0.75, 1])  # the strength of the noise goes from 0.11 to 0.2
BIAS = np.float32([0, 0, 0, 0.16, 0])
PATTERNS = np.float32(np.random.default_rng(1).choice([-0.06, 0.06], (5, SIDE**2)) / STD[:, None])
PATTERNS[3] = 0  # which is for the noise
TURNED = np.array([[0, -1, 0, 0], [0.8, 0, 0, 0], [0, 0, 1.2, 0], [0, 0, 0, 1]])
CENTRE, AXES = np.array([[0.2, 0, 0, 0], [-0.2, 0, 0, 0]]), np.stack([TURNED, np.eye(4)])
DOMAIN, SMALL = (Domain(CENTRE, AXES, np.linalg.inv(AXES), np.array(radius)) for radius in ([2.5, 2.0], [1.0, 0.8]))
TRUE_CLASS, ALL = np.array([0, 1, 1, 0, 0, 1]), np.arange(6)
W = np.float32([[1, -1, 0.5, 1], [0, 0.6, -1, -1], [-1, 0, 0, 0], [0.2, 0, 0, -1.5], [0, 1, 1, 1.5], [0.5, 1, 0, -0.5]])


def map_styles(w: torch.Tensor) -> torch.Tensor:
    return w @ torch.from_numpy(MIX) + torch.from_numpy(BIAS)


def paint(styles: torch.Tensor, seeds: np.ndarray) -> torch.Tensor:
    noise = np.stack([np.random.default_rng(seed).standard_normal(SIDE**2, np.float32) for seed in seeds])
    pixels = 0.5 + styles @ torch.from_numpy(PATTERNS) + styles[:, 3:4] * torch.from_numpy(noise)
    return pixels.clamp(0, 1).reshape(-1, 1, SIDE, SIDE)


def make(styles: np.ndarray, seeds: np.ndarray = 1000 + ALL) -> np.ndarray:
    return to_bytes(paint(torch.from_numpy(np.float32(styles)), seeds)).numpy()


IMAGES = make(W @ MIX + BIAS)


def stream(row: int) -> np.random.Generator:
    return np.random.default_rng([7, row])


def run(images: np.ndarray = IMAGES, rows: np.ndarray = ALL, batch_size: int = 4, **options: Any) -> Inverted:
    own, options = TRUE_CLASS[rows], {"domain": DOMAIN, "steps": 60, "style_steps": 0} | options
    return module.invert(
        World(paint, {}, batch_size), map_styles, images=images[rows], true_class=own, start=np.float32(CENTRE[own]),
        std=STD, stream=lambda row: stream(rows[row]), **options,
    )  # fmt: skip


def measure_noise(images: np.ndarray) -> np.ndarray:
    """How far pixels are from the patterns that fit best."""
    flat, basis = images.reshape(len(images), -1).T / 255 - 0.5, PATTERNS[[0, 1, 2, 4]].T
    return np.asarray(np.std(flat - basis @ np.linalg.lstsq(basis, flat, rcond=None)[0], axis=0))


def test_latents_and_the_strength_of_the_noise_are_recovered() -> None:
    done: list[int] = []
    found, held = run(advance=done.append), measure_noise(IMAGES)
    assert done == [4, 2]
    np.testing.assert_allclose(found.w[:, :3], W[:, :3], atol=0.2)
    np.testing.assert_allclose(found.styles, map_styles(torch.from_numpy(found.w)), atol=1e-6)
    np.testing.assert_allclose(found.length_std, np.linalg.norm(DOMAIN.whiten(found.w, TRUE_CLASS), axis=1), rtol=1e-5)
    assert not found.offset.any()
    assert found.noise.tolist() == [draw_seeds(121, stream(row))[0] for row in ALL]
    np.testing.assert_allclose(found.styles[:, 3], np.sqrt(held**2 - LEAST_VARIANCE), rtol=0.05)
    np.testing.assert_allclose(measure_noise(make(found.styles, found.noise)), held, rtol=0.08)


def test_squared_error_alone_would_fit_the_noise_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes of every image one with as little noise as the domain holds; the images' own spread is 0.09."""
    monkeypatch.setattr(module, "measure_misfit", lambda x, *made: 5 * (x - sum(made) / 2).square().flatten(1).sum(1))
    lost = run().styles[:, 3]
    assert np.ptp(measure_noise(IMAGES)) > 0.085
    assert (lost < 0.12).all()
    assert np.ptp(lost) < 0.03


def test_w_is_held_in_the_domain() -> None:
    found = run(make((4 * W) @ MIX + BIAS), domain=SMALL, style_steps=3)
    assert not SMALL.contains(4 * W, TRUE_CLASS).any()
    assert SMALL.contains(found.w, TRUE_CLASS).all()
    np.testing.assert_allclose(found.length_std, SMALL.radius[TRUE_CLASS], rtol=0.02)


def test_a_style_that_w_does_not_move_is_found_up_to_its_bound() -> None:
    away = np.array([0.3, -0.3, 0.45, 3.0, -3.0, 0.0])  # in std
    found = run(make(W @ MIX + BIAS + np.outer(away, [0, 0, 0, 0, STD[4]])), style_steps=40)
    offset = found.offset / STD
    np.testing.assert_allclose(offset[:, 4], np.clip(away, -FARTHEST, FARTHEST), atol=0.1)
    np.testing.assert_allclose(offset[3:5, 4], [FARTHEST, -FARTHEST], rtol=1e-6)
    assert (np.abs(offset) <= FARTHEST * (1 + 1e-6)).all()
    np.testing.assert_allclose(found.styles, map_styles(torch.from_numpy(found.w)).numpy() + found.offset, atol=1e-6)


def test_no_result_depends_on_the_batch_or_on_the_images_beside_it() -> None:
    whole = run(style_steps=5)
    for rows, batch_size in ((ALL, 1), (np.array([5, 2, 0]), 2)):
        part = run(rows=rows, batch_size=batch_size, style_steps=5)
        np.testing.assert_array_equal(part.noise, whole.noise[rows])
        np.testing.assert_allclose(part.w, whole.w[rows], atol=1e-4)
        np.testing.assert_allclose(part.offset, whole.offset[rows], atol=1e-4)


def test_misfit_is_that_of_its_slow_twin_and_of_the_closed_form() -> None:
    trio = [np.random.default_rng(seed).random((3, 2, 4, 4)) for seed in (1, 2, 3)]
    trio[1][2] = trio[2][2] = trio[0][2]  # no noise and no error
    expected = []
    for x, one, other in zip(*trio, strict=True):
        v = ((one - other) ** 2).mean() / 2
        error = max(((x - (one + other) / 2) ** 2).mean() - v / 2, 0)
        expected.append(EVIDENCE * 32 / 2 * (error / (v + LEAST_VARIANCE) + np.log(v + LEAST_VARIANCE)))
    np.testing.assert_allclose(measure_misfit(*map(torch.from_numpy, trio)), expected, rtol=1e-6)
    # An image of noise 0.2 about 0.7, taken for one of noise 0.1 about 0.6: the draws' own noise leaves no trace.
    x, one, other = torch.randn(3, 1, 1, 500, 500, generator=torch.Generator().manual_seed(1))
    found, spread = measure_misfit(0.7 + 0.2 * x, 0.6 + 0.1 * one, 0.6 + 0.1 * other), 0.1**2 + LEAST_VARIANCE
    told = float(found) / (EVIDENCE * 500**2 / 2)
    assert told == pytest.approx((0.2**2 + 0.1**2) / spread + np.log(spread), abs=0.05)


def test_the_nearest_of_the_own_class_is_chosen_by_shape_and_by_grain() -> None:
    flat, grain = np.full((1, 16, 16), 128), np.random.default_rng(1).choice([68, 188], (3, 1, 16, 16))
    bar = flat + 127 * (np.arange(16) // 4 == 1)
    known, known_class = np.uint8([flat, bar, grain[0], flat, bar]), np.array([0, 0, 0, 1, 1])
    wanted, true_class = np.uint8([flat, bar, grain[1], grain[2], bar, bar]), np.array([0, 0, 0, 1, 0, 1])
    assert choose_nearest(wanted, true_class, known, known_class).tolist() == [0, 1, 2, 3, 1, 4]
