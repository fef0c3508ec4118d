"""Walks along single dimensions in a world whose crossings are known, the starts of walks, and one for a notebook."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit as sigmoid

from failure_atlas.core.errors import StageError
from failure_atlas.walks.crossing import TOLERANCE, space_grid
from failure_atlas.walks.single import Candidates, find_shortest, walk_dimensions
from failure_atlas.walks.starts import choose_for_sets, choose_starts, draw_samples, share_equally
from stages.common.artefacts.walks import choose_candidates

GRID = space_grid(20.0, 0.5)


class LogisticWorld:
    """p = sigmoid(b . s): moving dimension j by t std changes the logit by b_j std_j t."""

    def __init__(self) -> None:
        self.slope = np.array([2.0, -1.0, 0.0, 0.5, 0.001, 0.1, 0.7])
        self.std = np.array([1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.0])
        self.logit = np.array([4.0, 2.0, -1.0])
        step = -np.sign(self.slope) * self.std
        order = np.array([0, 1, 2, 6, 4, 3, 5])
        self.candidates = Candidates(np.tile(order, (3, 1)), np.tile(step[order], (3, 1)))
        self.calls = 0

    def measure(self, start, dimension, amount):
        self.calls += 1
        return sigmoid(self.logit[start] + self.slope[dimension] * amount)

    def walk(self, wanted, **options):
        options = {"candidates": self.candidates, "grid_std": GRID, "min_effect": 0.01} | options
        return walk_dimensions(self.measure, sigmoid(self.logit), wanted=wanted, **options)


def test_walks_fall_to_half_at_the_exact_shift_and_skip_dimensions_without_effect():
    world = LogisticWorld()
    walks, skipped = world.walk(4)
    # dimension 2 has score 0, 6 has std 0, 4 moves the logit by 0.02 at most: three passed over, none for start 2
    assert list(skipped) == [3, 3, 0]
    assert list(walks.start) == [0] * 4 + [1] * 4
    assert list(walks.dimension) == [0, 1, 3, 5] * 2
    assert list(walks.place) == [0, 1, 5, 6] * 2
    expected = world.logit[walks.start] / np.abs(world.slope * world.std)[walks.dimension]
    assert list(expected) == [2, 8, 4, 40, 1, 4, 2, 20]
    inside = expected < 19.9
    np.testing.assert_allclose(walks.shift_std[inside], expected[inside], rtol=0.004)
    assert walks.reached[inside].all()
    assert (walks.shift_std <= 20).all()
    assert (np.sign(walks.step) == -np.sign(world.slope[walks.dimension])).all()


@pytest.mark.parametrize("farthest", [20.0, 1.0])
def test_each_walk_is_told_once_a_skipped_one_never_and_unreached_ones_stop_at_the_farthest_shift(farthest):
    ended = []
    walks, skipped = LogisticWorld().walk(4, grid_std=space_grid(farthest, 0.5), on_end=ended.append)
    assert skipped.sum() > 0
    assert 0 < sum(ended) == len(walks.start) <= 8  # four from each start that is walked, at most
    assert (walks.shift_std[~walks.reached] == farthest).all()
    assert not (walks.reached & (walks.start == 0)).any() or farthest == 20


def test_skipping_is_off_without_a_least_effect_except_where_no_walk_exists():
    walks, skipped = LogisticWorld().walk(4, min_effect=0.0)
    assert list(skipped) == [2, 2, 0]  # score 0 and std 0
    assert list(walks.dimension[walks.start == 0]) == [0, 1, 4, 3]


def test_too_few_dimensions_give_fewer_walks_and_no_start_none():
    world = LogisticWorld()
    walks, skipped = world.walk(50)
    assert np.bincount(walks.start, minlength=3).tolist() == [4, 4, 0]
    assert list(skipped) == [3, 3, 0]
    world.logit, world.calls = np.array([-1.0, -2, 0]), 0
    walks, skipped = world.walk(2)
    assert len(walks.start) == world.calls == skipped.sum() == 0


def test_the_shortest_walk_of_each_start_is_found_and_only_the_first_goes_on_after_it():
    world = LogisticWorld()
    world.logit = np.array([4.0, 2.0, 100.0])
    order = np.tile([3, 1, 0, 2], (3, 1))  # std * slope: 1, 0.5, 2 and none
    candidates = Candidates(order, (-np.sign(world.slope) * world.std)[order])
    walks, _ = world.walk(4, candidates=candidates, shortest=True, min_effect=0.0, grid_std=space_grid(20.0, 0.5))
    best, top = walks.select(find_shortest(walks)), walks.select(walks.place == 0)
    assert list(best.start) == [0, 1]
    assert list(best.dimension) == [0, 0]
    np.testing.assert_allclose(best.shift_std, [2, 1], atol=4.1 * TOLERANCE / 2)
    assert list(top.reached) == [True, True, False]
    np.testing.assert_allclose(top.shift_std, [4, 2, 20], atol=4.1 * TOLERANCE)
    second = walks.select((walks.place == 1) & (walks.start < 2))
    assert list(second.shift_std) == [2, 1]  # where the shortest arrived, by their grid
    assert not second.reached.any()


def test_of_two_walks_that_end_alike_the_first_candidate_is_the_shortest():
    world = LogisticWorld()
    every = np.tile([5, 0, 0], (3, 1))
    walks, _ = world.walk(3, candidates=Candidates(every, -np.ones((3, 3))), shortest=True)
    assert list(walks.place[find_shortest(walks)]) == [1, 1]


def make_ranking(direction, std, name="a"):
    return pd.DataFrame(
        {"scope": name, "dimension": np.arange(len(std))[::-1], "direction": direction[::-1], "std": std[::-1]}
    )


def test_candidates_are_the_top_of_the_own_class_that_can_move():
    ranking = pd.concat([make_ranking([1, -1, 0, 1], [1.0, 2, 3, 0]), make_ranking([-1, -1, 1, 1], [1.0] * 4, "b")])
    candidates = choose_candidates(ranking, "class", np.array([1, 0]), ["a", "b"], 4).first_movable(3)
    np.testing.assert_array_equal(candidates.dimension, [[3, 2, 1], [1, 0, 3]])
    np.testing.assert_array_equal(candidates.step, [[1, 1, -1], [-2, 1, 0]])
    with pytest.raises(StageError, match="ranks 4 dimensions in scope 'a', the generator has 5"):
        choose_candidates(ranking, "class", np.array([1]), ["a"], 5)


def test_starts_are_class_means_and_then_the_samples_asked_for():
    styles, true_class = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    starts = choose_starts(styles, true_class, 2, [5, 0])
    np.testing.assert_array_equal(starts.styles, [[4, 5], [6, 7], [10, 11], [0, 1]])
    assert list(starts.true_class) == [0, 1, 1, 0]
    assert starts.names == ["mean", "mean", "5", "0"]


def test_draws_are_equal_shares_and_larger_ones_hold_smaller_ones():
    true_class = np.arange(60) % 3
    stream = lambda label: np.random.default_rng([4, label])  # noqa: E731
    small, large = (draw_samples(true_class, share_equally(n, 3), stream) for n in (7, 30))
    assert list(np.bincount(true_class[small])) == [3, 2, 2]
    assert (np.diff(true_class[small]) >= 0).all()
    assert set(small) <= set(large)
    assert len(set(large)) == 30
    other = draw_samples(true_class, share_equally(7, 3), lambda label: np.random.default_rng([5, label]))
    assert list(other) != list(small)


def test_sets_are_sought_from_the_walked_means_and_the_first_walked_samples():
    starts = choose_starts(np.zeros((12, 1), np.float32), np.arange(12) % 2, 2, [0, 2, 4, 1, 3, 5])
    walked = np.array([True, False, False, True, True, True, False, False])
    assert list(choose_for_sets(starts, walked, 3)) == [True, False, False, True, True, True, False, False]
    assert list(choose_for_sets(starts, walked, 1)) == [True, False, False, True, False, False, False, False]
    assert list(choose_for_sets(starts, walked, 0)) == [True] + [False] * 7
