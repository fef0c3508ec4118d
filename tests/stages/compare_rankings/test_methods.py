"""Steps of equal length, the same for every kind of direction; principal directions of known data."""

import numpy as np
import pytest
import torch

from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import load_generator
from stages.compare_rankings.attfind import Effects
from stages.compare_rankings.methods import (
    Method,
    join_steps,
    single_steps,
    spread_groups,
    step_directions,
    step_random,
    step_top,
)
from stages.compare_rankings.principal import find_principal, map_directions
from stages.compare_rankings.rankers import build_methods
from stages.compare_rankings.ranking_pass import RankingPass


def test_steps_of_a_score_go_against_its_sign_in_order_of_size():
    steps = step_top(np.array([1.0, -3, 0, 2]), 3)
    np.testing.assert_array_equal(steps, [[[0, 1, 0, 0], [0, 0, 0, -1], [-1, 0, 0, 0]]])


def test_random_steps_differ_in_choice_only():
    scores = np.array([1.0, -3, 5, 2, -1, 4])
    steps = step_random(scores, 4, 5, np.random.default_rng(0))
    assert steps.shape == (5, 4, 6)
    for draw in steps:
        dimensions = np.abs(draw).argmax(1)
        assert len(set(dimensions)) == 4
        np.testing.assert_array_equal(draw[np.arange(4), dimensions], -np.sign(scores[dimensions]))
    assert len({draw.tobytes() for draw in steps}) > 1


def test_directions_have_length_one_and_lower_the_score():
    gradient = np.array([1.0, -2, 0.5])
    steps = step_directions(np.array([[3.0, 0, 4], [0, 5, 0], [0, 0, 0]]), gradient)[0]
    np.testing.assert_allclose(steps, [[-0.6, 0, -0.8], [0, 1, 0], [0, 0, 0]])
    assert (steps[:2] @ gradient < 0).all()


def test_joint_moves_have_length_sqrt_k_whatever_the_directions():
    dimensions = step_top(np.array([1.0, -3, 0, 2]), 4)
    np.testing.assert_allclose(join_steps(dimensions, 2), [[0, 1, 0, -1]])
    np.testing.assert_allclose(join_steps(dimensions, 4), [[-1, 1, 0, -1]])  # the third has no direction
    leaning = step_directions(np.array([[1.0, 0, 0], [1, 1, 0]]), np.ones(3))
    assert np.linalg.norm(join_steps(leaning, 2)) == pytest.approx(np.sqrt(2))
    assert not join_steps(np.zeros((1, 2, 3)), 2).any()


def test_each_draw_serves_one_run_of_samples():
    np.testing.assert_array_equal(spread_groups(np.array([[1.0], [2], [3]]), 7)[:, 0], [1, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(spread_groups(np.array([[4.0]]), 3)[:, 0], [4, 4, 4])


def test_single_steps_take_the_same_number_from_every_draw():
    steps = np.arange(3 * 4 * 2, dtype=float).reshape(3, 4, 2)
    singles = single_steps(Method("random", "full", 1, 1, steps), 5)
    np.testing.assert_array_equal(singles, steps[[0, 0, 1, 1, 2], [0, 1, 0, 1, 0]])
    assert len(single_steps(Method("paper", "full", 1, 1, steps[:1]), 10)) == 4


def test_principal_directions_of_known_spread():
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(4, 4)))
    features = 100 + random.normal(size=(4000, 4)) * [5, 3, 1, 0.2] @ axes.T
    found = find_principal(features, 3)
    np.testing.assert_allclose(np.abs(np.sum(found * axes.T[:3], axis=1)), 1, atol=1e-2)
    assert find_principal(features, 9).shape == (4, 4)


def test_directions_of_w_become_those_of_s(tiny_generator):
    generator = load_generator(tiny_generator, torch.device("cpu"))
    random = np.random.default_rng(0)
    w, directions = random.normal(size=(1, 8)).astype(np.float32), random.normal(size=(2, 8))
    with torch.no_grad():
        base = generator.map_styles(torch.from_numpy(w))
        moved = generator.map_styles(torch.from_numpy(w + directions.astype(np.float32)))
    np.testing.assert_allclose(map_directions(generator, directions), moved - base, atol=1e-5)


def test_methods_say_what_they_cost():
    scores = {name: np.arange(1.0, 5) for name in ("paper", "gradient_std")}
    gradients = RankingPass(
        scores, scores, np.ones(4), (np.ones((1, 4)), np.ones((1, 4))), np.ones((1, 4)), ClassMoments(1, 4)
    )
    effect = np.array([[-1.0, 0], [0, -2], [0, 0], [0, 0]])
    methods = build_methods(
        gradients, Effects(effect, -effect), {"pca_s": np.eye(4)}, samples=90, passes=3, few=8, attfind_samples=50,
        count=2, random_draws=3, random=np.random.default_rng(0),
    )  # fmt: skip
    assert {method.label: (method.samples, method.forward_passes) for method in methods} == {
        "paper": (90, 270), "gradient_std": (90, 270), "paper (1/50)": (8, 24), "gradient_std (1/50)": (8, 24),
        "attfind": (50, 450), "attfind_probability": (50, 450), "random": (90, 270), "pca_s": (90, 270),
    }  # fmt: skip
    by_label = {method.label: method.steps for method in methods}
    np.testing.assert_array_equal(by_label["attfind"], [[[0, 1, 0, 0], [-1, 0, 0, 0]]])
    assert by_label["random"].shape == (3, 2, 4)
    assert not by_label["attfind_probability"].any()  # its effects only rise
