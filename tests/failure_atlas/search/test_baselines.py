"""The walks of the paper, up to true failures that lie in a known corner."""

from dataclasses import replace

import numpy as np
import torch

from failure_atlas.search.baselines import follow_mean_direction, walk_all_dimensions, walk_single_dimensions
from failure_atlas.walks.single import Candidates
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import CLASSIFIER
from tests.failure_atlas.search import corner
from tests.failure_atlas.search.corner import CONFIDENCE, NOISE, TRUE_CLASS, X0, W, make_domain, make_world

STD, NEAR = np.array([0.5, 1.0, 2.0]), 2e-3  # the tolerance of walks, in std
SURE = [True, False, True, False]  # on these walks x1 stays, and with it the judge
SPACE = StdSpace(make_world(), W, TRUE_CLASS, STD, NOISE)


def test_the_mean_direction_of_each_class_crosses_where_its_margin_is_0() -> None:
    domain, expected = make_domain(), np.abs(X0) / np.linalg.norm(corner.AXES[TRUE_CLASS, 0], axis=1)
    reached = follow_mean_direction(make_world(), domain, W, TRUE_CLASS, NOISE, CONFIDENCE)
    assert list(reached.found) == SURE
    np.testing.assert_allclose(reached.distance_std, np.where(SURE, expected, 0), atol=NEAR)
    assert (weigh_failures(make_world(), reached.places, TRUE_CLASS, NOISE)[SURE] >= CONFIDENCE).all()
    move = domain.whiten(reached.places, TRUE_CLASS) - domain.whiten(W, TRUE_CLASS)
    np.testing.assert_allclose(np.linalg.norm(move, axis=1), reached.distance_std, atol=1e-5)
    small = follow_mean_direction(make_world(), make_domain(1.2), W, TRUE_CLASS, NOISE, CONFIDENCE)
    assert not small.found.any()


def test_the_mean_direction_is_not_that_of_the_single_start() -> None:
    """Margins 8 (x2^2 / 2 - x0) slope to one side each, but straight along x0 on average."""

    def classify(images: torch.Tensor) -> torch.Tensor:
        x2 = (images.flatten(1)[:, 2] - 0.5) / 0.2
        return corner.read(0, -4.0)(images) + torch.stack([4 * x2**2, 0 * x2], dim=1)

    x2, zeros = (178 / 255 - 0.5) / 0.2, np.zeros(2, np.int64)  # which bytes hold
    w = np.array([[-1, 1.5, x2], [-1, 1.5, -x2]], np.float32)
    world = replace(make_world(), networks={**make_world().networks, CLASSIFIER: classify})
    domain = replace(make_domain(9.0), axes=np.diag(STD)[None], inverse=np.diag(1 / STD)[None])
    reached = follow_mean_direction(world, domain, w, zeros, zeros, CONFIDENCE)
    assert reached.found.all()
    np.testing.assert_allclose(reached.distance_std, (1 + x2**2 / 2) / STD[0], atol=NEAR)


def test_single_dimensions_end_at_the_shortest_walk_of_each_start() -> None:
    toward, still = np.where(TRUE_CLASS == 0, STD[0], -STD[0]), np.full(4, STD[2])  # x2 has no effect
    candidates = Candidates(np.tile([2, 0, 0, 0], (4, 1)), np.stack([still, toward / 2, toward, toward / 4], axis=1))
    reached = walk_single_dimensions(SPACE, candidates, CONFIDENCE)
    assert list(reached.found) == SURE
    np.testing.assert_allclose(reached.distance_std, np.where(SURE, np.abs(X0) / STD[0], 0), atol=NEAR)
    np.testing.assert_allclose(reached.places, W + np.outer(toward * reached.distance_std, [1, 0, 0]), atol=1e-5)


def test_all_dimensions_go_one_std_beyond() -> None:
    reached = walk_all_dimensions(SPACE, CONFIDENCE)
    assert list(reached.found) == SURE
    np.testing.assert_allclose(reached.distance_std, np.abs(X0) / STD[0] + 1, atol=NEAR)
    np.testing.assert_allclose(np.abs(reached.places - W), np.outer(np.abs(X0) + STD[0], [1, 0, 0]), atol=NEAR)
