"""Walks in W to true failures that lie in a known corner."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.search.domain import enter_latents
from failure_atlas.search.nearest import RESTART_STD, Nearest, Steering, doubt, measure_margin, walk_to_failures
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import CLASSIFIER, World
from tests.failure_atlas.search import corner
from tests.failure_atlas.search.corner import CONFIDENCE, NOISE, SIGN, TRUE_CLASS, X0, W, make_domain, make_world

STEP, STEPS, ALL = 0.1, 60, np.arange(4)
SMALL: dict[str, Any] = {"radius": 1.2, "noise": 0 * NOISE}  # x0 = 0 lies outside of the domain


def draw(start: int) -> np.random.Generator:
    return np.random.default_rng([7, start])


def make_steering(world: World | None = None, black_box: bool = False) -> Steering:
    return Steering(world or make_world(), corner.MEMBERS, 0.99, 12.0, np.array([0.67, 0.5, 0.8]), black_box)


def walk(
    rows: np.ndarray = ALL,
    *,
    world: World | None = None,
    w: np.ndarray = W,
    noise: np.ndarray = NOISE,
    radius: float = 3.0,
    black_box: bool = False,
    most_steps: int = STEPS,
    restart_steps: int = STEPS,
    on_end: Callable[[int], object] = lambda _: None,
) -> Nearest:
    return walk_to_failures(
        make_steering(world, black_box), make_domain(radius), w[rows], TRUE_CLASS[rows], noise[rows],
        confidence=CONFIDENCE, step_std=STEP, most_steps=most_steps, restart_steps=restart_steps,
        stream=lambda start: draw(rows[start]), on_end=on_end,
    )  # fmt: skip


def test_the_margin_and_the_doubt_are_what_they_are_called() -> None:
    logits, labels = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0]]), torch.tensor([1, 2])
    assert measure_margin(logits, labels).tolist() == [2, -2]
    chances = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.1, 0.6]]).log() + 5  # logits, up to what they all share
    np.testing.assert_allclose(doubt(chances, torch.tensor([1, 0]), 0.6), [0, np.log(2)], atol=1e-6)


def test_members_of_the_judge_are_asked_in_turn() -> None:
    for turn in range(3):
        seen = make_steering().look(W, TRUE_CLASS, NOISE, turn)[2]
        odds = 2 * corner.STEEPNESS[turn % 2] * SIGN * W[:, 1]
        np.testing.assert_allclose(seen, 1 / (1 + np.exp(-odds)), rtol=1e-5)


@pytest.mark.parametrize("black_box", [False, True])
def test_an_offset_of_the_styles_is_kept_on_the_way(black_box: bool) -> None:
    offset = np.tile(np.array([0.2, -0.1, 0.3], np.float32), (4, 1))
    world = enter_latents(make_world(), lambda w: w, width=3)
    kept = walk_to_failures(
        make_steering(world, black_box), make_domain(100), W, TRUE_CLASS, NOISE, confidence=CONFIDENCE, step_std=STEP,
        most_steps=STEPS, restart_steps=STEPS, stream=draw, offset=offset,
    )  # fmt: skip
    moved = walk(w=W + offset, radius=100, black_box=black_box)  # here latents are styles: the same images
    np.testing.assert_array_equal(kept.steps, moved.steps)
    np.testing.assert_allclose(kept.distance_std, moved.distance_std, rtol=1e-4)
    assert kept.found.any()


def test_where_the_judge_stays_sure_walks_are_straight_and_end_at_the_first_step_beyond() -> None:
    walks, length = walk(), STEP * np.sqrt(3)
    for row in (0, 2):
        nearest = abs(X0[row]) / np.linalg.norm(corner.AXES[TRUE_CLASS[row], 0])
        assert walks.steps[row] == np.ceil(nearest / length) > 5
        assert walks.distance_std[row] == pytest.approx(walks.steps[row] * length, rel=1e-4)


@pytest.mark.parametrize("outside", [False, True], ids=["starts inside", "starts outside"])
def test_every_end_is_a_true_failure_inside_the_domain_as_far_away_as_is_said(*, outside: bool) -> None:
    ended: list[int] = []
    domain, w = make_domain(), W + np.outer(SIGN, [3.5, 1, 0]).astype(np.float32) * outside  # where all fail
    walks, origin = walk(w=w, on_end=ended.append), domain.whiten(w, TRUE_CLASS)
    places = domain.place(walks.whitened, TRUE_CLASS)
    assert ((np.linalg.norm(origin, axis=1) > 3) == outside).all()
    assert walks.found.all()
    assert sum(ended) == 4
    np.testing.assert_allclose(walks.judge, weigh_failures(make_world(1), places, TRUE_CLASS, NOISE), rtol=1e-5)
    assert (walks.judge >= CONFIDENCE).all()
    assert (np.linalg.norm(domain.whiten(places, TRUE_CLASS), axis=1) <= 3 + 1e-5).all()
    move = domain.whiten(places, TRUE_CLASS) - origin
    np.testing.assert_allclose(walks.distance_std, np.linalg.norm(move, axis=1), rtol=1e-5)


def test_a_failure_outside_the_domain_is_not_found_and_the_walk_ends_at_the_surface() -> None:
    ended: list[int] = []
    walks = walk(**SMALL, on_end=ended.append)
    assert not walks.found.any()
    assert not walks.judge.any()
    assert (walks.steps == STEPS).all()
    assert sum(ended) == 4
    np.testing.assert_allclose(np.linalg.norm(walks.whitened, axis=1), SMALL["radius"])


def test_a_walk_depends_neither_on_those_beside_it_nor_on_the_batch() -> None:
    whole = walk(restart_steps=4)
    assert (whole.steps > 9).any()  # begun again twice
    for rows, batch_size in ((np.array([3, 0]), 3), (ALL, 1), (ALL, 100)):
        part = walk(rows, world=make_world(batch_size), restart_steps=4)
        np.testing.assert_array_equal(part.steps, whole.steps[rows])
        np.testing.assert_allclose(part.whitened, whole.whitened[rows], atol=1e-4)


@pytest.mark.parametrize("options", [{}, SMALL, {"restart_steps": 4}], ids=["found", "not found", "restarts"])
def test_a_black_box_is_walked_to_the_same_ends(options: dict[str, Any]) -> None:
    box = BlackBox(lambda images: corner.read(0, -4.0)(torch.from_numpy(images)).numpy(), "box")
    world = replace(make_world(), networks={**make_world().networks, CLASSIFIER: box})
    steep, asked = walk(**options), walk(world=world, black_box=True, **options)
    np.testing.assert_array_equal(asked.found, steep.found)
    np.testing.assert_array_equal(asked.steps, steep.steps)
    np.testing.assert_allclose(asked.whitened, steep.whitened, atol=0.02)


def test_what_finds_nothing_begins_again_beside_its_start_by_its_own_draws_and_without_memory() -> None:
    domain, streams = make_domain(), [draw(start) for start in range(4)]
    for most_steps in (3, 6):
        walks, farther = (walk(restart_steps=2, most_steps=most) for most in (most_steps, most_steps + 1))
        shaken = domain.whiten(W, TRUE_CLASS) + RESTART_STD * np.array([each.standard_normal(3) for each in streams])
        np.testing.assert_allclose(walks.whitened, shaken, rtol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(farther.whitened - shaken, axis=1), STEP * np.sqrt(3))
