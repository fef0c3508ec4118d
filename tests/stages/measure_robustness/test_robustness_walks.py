"""Walks in worlds whose crossings are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from failure_atlas.core.errors import StageError
from failure_atlas.world.gradients import differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, World
from stages.measure_robustness.crossing import bisect_pieces
from stages.measure_robustness.greedy_set import find_sets
from stages.measure_robustness.joint_walk import walk_jointly, walk_on
from stages.measure_robustness.log_odds import TOLERANCE, differentiate_log_odds, measure_log_odds
from stages.measure_robustness.single_walk import Candidates, choose_candidates, walk_singly
from stages.measure_robustness.starts import choose_for_sets, draw_starts, share_equally
from stages.measure_robustness.std_space import StdSpace, measure_length

CPU = torch.device("cpu")
STEPS = {"step_std": 0.25, "max_path_std": 10.0}
BUDGET = {"budget_std": 2.0, "step_std": 0.25, "most_dimensions": 30}


def test_log_odds_are_those_of_the_softmax_and_exact_where_it_saturates():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, -1.0], [80.0, 0.0, 0.0]])
    true_class = torch.tensor([1, 0, 0])
    p = logits.double().softmax(1)[torch.arange(2), true_class[:2]]
    values = measure_log_odds(logits, true_class)
    torch.testing.assert_close(values[:2], torch.log(p / (1 - p)))
    assert float(values[2]) == pytest.approx(80 - np.log(2))  # the softmax rounds to 1 here


def test_the_gradient_points_as_the_softmax_does_and_stays_where_that_vanishes():
    slopes = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])

    def classify(images):
        return images @ slopes.T

    styles = torch.tensor([[0.3, -0.2, 0.1], [60.0, 0.0, 0.0]])
    labels = torch.tensor([0, 0])
    values, gradients = differentiate_log_odds(lambda s: s, classify, styles, labels)
    for row in gradients:  # of two classes the log-odds are the difference of the logits
        torch.testing.assert_close(row, slopes[0] - slopes[1])
    world = World(lambda s: s, {CLASSIFIER: classify})
    (found,) = differentiate(world, {"softmax": softmax}, styles.numpy(), labels.numpy())
    softmax_gradients = torch.from_numpy(found.gradients["softmax"])
    p = values.sigmoid().float()
    torch.testing.assert_close(softmax_gradients[0], (p * (1 - p))[0] * gradients[0])
    assert not softmax_gradients[1].any()


def test_a_std_space_moves_by_stds_in_any_batch_size_and_counts():
    random = np.random.default_rng(1)
    styles, std = random.normal(size=(5, 3)).astype(np.float32), np.array([2.0, 0.0, 0.5])
    slopes = torch.tensor(random.normal(size=(4, 3)), dtype=torch.float32)
    labels = np.array([0, 1, 2, 3, 0])
    offset = random.normal(size=(5, 3))
    answers = []
    for batch_size in (2, 100):
        space = StdSpace(lambda s: s, lambda s: s @ slopes.T, styles, labels, std, batch_size, CPU)
        part = space.select(np.array([4, 1]))
        answers.append((space.differentiate(np.arange(5), offset), part.measure(np.array([1, 0]), offset[:2])))
        assert (space.passes.images, space.passes.gradients) == (7, 5)
    for one, other in zip(answers[0][0], answers[1][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    moved = styles + std * offset
    np.testing.assert_allclose(space.place(np.arange(5), offset), moved, rtol=1e-6)
    value, slope = answers[0][0]
    for row in range(5):  # the slow twin: central differences
        for dimension in range(3):
            ahead, behind = offset[row].copy(), offset[row].copy()
            ahead[dimension] += 0.01
            behind[dimension] -= 0.01
            values = space.measure(np.array([row, row]), np.stack([ahead, behind]))
            assert slope[row, dimension] == pytest.approx((values[0] - values[1]) / 0.02, abs=2e-3)
    logits = moved @ slopes.numpy().T
    direct = measure_log_odds(torch.tensor(logits), torch.tensor(labels))
    np.testing.assert_allclose(value, direct, rtol=1e-5)
    swapped = styles[[1, 4]] + std * offset[:2]
    direct = measure_log_odds(torch.tensor(swapped @ slopes.numpy().T), torch.tensor(labels[[1, 4]]))
    np.testing.assert_allclose(answers[0][1], direct, rtol=1e-5)


@given(st.floats(0.01, 30), st.floats(0.05, 20))
def test_bisection_ends_on_the_far_side_within_tolerance(start, fall):
    far = start - fall
    assume(far <= 0)
    share = bisect_pieces(lambda _, share: start - fall * share, np.array([far]))
    assert -TOLERANCE <= start - fall * share[0] <= 1e-12
    assert share[0] == pytest.approx(start / fall, abs=TOLERANCE / fall + 1e-9)


def test_joint_walks_in_a_linear_world_are_straight_and_as_short_as_can_be(linear_world):
    world = linear_world([5.0, 1.0, -0.5, 60.0], [3.0, 0.0, -4.0])
    ended = []
    walks = walk_jointly(world.measure, world.differentiate, 4, 3, **STEPS, on_end=ended.append)
    assert list(walks.reached) == [True, True, True, False]
    np.testing.assert_allclose(walks.path_std, [1.0, 0.2, 0, 10], atol=TOLERANCE / 5 + 1e-9)  # value / |slope|
    np.testing.assert_allclose(measure_length(walks.offset), walks.path_std, rtol=1e-12)
    np.testing.assert_allclose(walks.offset[3], [-6, 0, 8], rtol=1e-12)
    value = world.measure(np.arange(2), walks.offset[:2])
    assert ((value <= 0) & (value >= -TOLERANCE)).all()
    assert sum(ended) == 4
    # one gradient at the start, then one a step, for walks under way only: 4 or 5 (the crossing may round), 1, 0 and 40
    assert world.differentiated in (4 + 4 + 1 + 40, 4 + 5 + 1 + 40)


def test_joint_walks_take_the_slope_anew_at_every_step():
    def measure(_, offset):
        return 4 - np.square(offset - [1.0, 0.0]).sum(axis=1)  # the level is a circle of radius 2 around (1, 0)

    def differentiate(rows, offset):
        return measure(rows, offset), -2 * (offset - [1.0, 0.0])

    start_slope = differentiate(None, np.zeros((1, 2)))[1][0]
    assert list(start_slope) == [2, 0]
    walks = walk_jointly(measure, differentiate, 1, 2, **STEPS)
    np.testing.assert_allclose(walks.offset, [[-1, 0]], atol=1e-3)


def test_a_walk_without_slope_ends_where_it_stands(linear_world):
    ended = []
    world = linear_world([1.0, 2.0], [0.0, 0.0])
    walks = walk_jointly(world.measure, world.differentiate, 2, 2, **STEPS, on_end=ended.append)
    assert not walks.reached.any()
    assert not walks.path_std.any()
    assert sum(ended) == 2
    assert not walk_on(world.differentiate, np.arange(2), walks.offset, step_std=0.25, length_std=1).any()


def test_no_start_is_fine(linear_world):
    world = linear_world([], [1.0, 2.0])
    assert len(walk_jointly(world.measure, world.differentiate, 0, 2, **STEPS).reached) == 0
    assert len(find_sets(world.measure, world.differentiate, 0, 2, **BUDGET).reached) == 0
    none = Candidates(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))
    assert len(walk_singly(world.measure, none, 2, step_std=1, max_shift_std=2).best_std) == 0


def test_walking_on_goes_as_far_as_asked_whatever_the_step(linear_world):
    world = linear_world([1.0, 2.0], [3.0, -4.0])
    for step_std in (0.25, 0.3, 5.0):
        ends = walk_on(world.differentiate, np.array([1]), np.ones((1, 2)), step_std=step_std, length_std=1.0)
        np.testing.assert_allclose(ends, [[0.4, 1.8]])


def make_candidates(slope, starts, order):
    dimension = np.tile(np.array(order), (starts, 1))
    return Candidates(dimension, -np.sign(np.array(slope)).astype(np.int64)[dimension])


def test_single_walks_find_the_shortest_and_follow_the_first(linear_world):
    slope = [0.5, -2.0, 1.0, 0.0]
    world = linear_world([3.0, 1.0, 100.0], slope)
    ended = []
    walks = walk_singly(
        world.measure, make_candidates(slope, 3, [0, 2, 1, 3]), 4, step_std=0.5, max_shift_std=7.0, on_end=ended.append
    )
    np.testing.assert_allclose(walks.top_std, [6, 2, np.inf], atol=TOLERANCE / 0.5 + 1e-9)
    np.testing.assert_allclose(walks.best_std, [1.5, 0.5, np.inf], atol=TOLERANCE / 2 + 1e-9)
    assert list(walks.best_place) == [2, 2, 0]
    assert sum(ended) == 3


def test_single_walks_stop_once_none_can_be_the_shortest(linear_world):
    slope = [-2.0, 1.0, 1.0]
    world = linear_world([0.9], slope)
    walk_singly(world.measure, make_candidates(slope, 1, [0, 1, 2]), 3, step_std=0.5, max_shift_std=50.0)
    # three dimensions at 0.5, then only the bisection of one: from 0.5 std to where a value of 0.9 +- 0.002 is spent
    assert 3 < world.measured < 3 + 12


def make_ranking(direction, std, name="a"):
    return pd.DataFrame(
        {"scope": name, "dimension": np.arange(len(std))[::-1], "direction": direction[::-1], "std": std[::-1]}
    )


def test_candidates_are_the_top_of_the_own_class_that_can_move():
    ranking = pd.concat([make_ranking([1, -1, 0, 1], [1.0, 2, 3, 0]), make_ranking([-1, -1, 1, 1], [1.0] * 4, "b")])
    candidates = choose_candidates(ranking, np.array([1, 0]), ["a", "b"], 4)
    np.testing.assert_array_equal(candidates.dimension, [[3, 2, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(candidates.direction, [[1, 1, -1, -1], [-1, 1, 0, 0]])
    with pytest.raises(StageError, match="ranks 4 dimensions in scope 'a', the generator has 5"):
        choose_candidates(ranking, np.array([1]), ["a"], 5)


def test_greedy_sets_in_a_linear_world_are_the_smallest(linear_world):
    slope = np.array([1.0, -3.0, 0.5, 2.0, 0.0])
    # the steepest give 6, 4, 2 and 1 within 2 std
    world = linear_world([3.0, 7.0, 12.5, 14.0, -1.0], list(slope))
    ended = []
    sets = find_sets(world.measure, world.differentiate, 5, 5, **BUDGET, on_end=ended.append)
    assert list(sets.size) == [1, 2, 4, 4, 0]
    assert list(sets.reached) == [True, True, True, False, True]
    assert sum(ended) == 5
    assert not sets.pruned.any()
    np.testing.assert_allclose(sets.offset[0], [0, 1, 0, 0, 0], atol=TOLERANCE)  # shrunk from 2 std
    np.testing.assert_allclose(sets.offset[1], np.array([0, 2, 0, -2, 0]) * 0.7, atol=TOLERANCE)
    np.testing.assert_allclose(sets.offset[3], [-2, 2, -2, -2, 0])
    value = world.measure(np.arange(3), sets.offset[:3])
    assert ((value <= 1e-9) & (value >= -TOLERANCE - 1e-9)).all()


def test_greedy_sets_stop_at_the_most_dimensions(linear_world):
    world = linear_world([100.0], [4.0, 3.0, 2.0, 1.0])
    sets = find_sets(world.measure, world.differentiate, 1, 4, **BUDGET | {"most_dimensions": 2})
    assert list(sets.offset[0]) == [-2, -2, 0, 0]
    assert not sets.reached[0]


def test_greedy_sets_drop_what_later_moves_made_needless():
    def measure(_, offset):
        u = -offset
        # the second dimension alone suffices, but looks flatter at the start
        return 3 - 1.0 * u[:, 0] - np.where(u[:, 1] > 1, 4 * (u[:, 1] - 1) + 0.9, 0.9 * u[:, 1])

    def differentiate(rows, offset):
        return measure(rows, offset), np.tile([1.0, 0.9], (len(rows), 1))

    sets = find_sets(measure, differentiate, 1, 2, **BUDGET)
    assert sets.reached[0]
    assert list(sets.size) == [1]
    assert list(sets.pruned) == [1]
    assert sets.offset[0, 0] == 0
    assert measure(None, sets.offset)[0] == pytest.approx(0, abs=TOLERANCE)


def test_greedy_moves_stop_at_the_lowest_point_and_skip_what_only_raises():
    def measure(_, offset):
        return 5 + np.square(offset[:, 0] - 1) + np.abs(offset[:, 1])  # the slope at 0 misleads along the second

    def differentiate(rows, offset):
        return measure(rows, offset), np.stack([2 * (offset[:, 0] - 1), np.full(len(rows), -9.0)], axis=1)

    sets = find_sets(measure, differentiate, 1, 2, **BUDGET)
    np.testing.assert_allclose(sets.offset, [[1.0, 0.0]])
    assert not sets.reached[0]
    assert list(sets.pruned) == [0]


def test_starts_are_means_and_equal_shares_and_larger_draws_hold_smaller_ones():
    random = np.random.default_rng(0)
    true_class = np.arange(60) % 3
    styles = random.normal(size=(60, 2)).astype(np.float32)
    small, large = (draw_starts(styles, true_class, ["a", "b", "c"], n, seed=4) for n in (7, 30))
    assert small.names[:3] == ["mean"] * 3
    assert list(np.bincount(small.true_class[3:])) == [3, 2, 2] == list(share_equally(7, 3))
    assert set(small.names[3:]) <= set(large.names[3:])
    assert len(set(large.names[3:])) == 30
    chosen = np.array([int(name) for name in small.names[3:]])
    np.testing.assert_array_equal(small.styles[3:], styles[chosen])
    np.testing.assert_array_equal(small.true_class[3:], true_class[chosen])
    np.testing.assert_allclose(small.styles[1], styles[true_class == 1].mean(axis=0), rtol=1e-5)
    other = draw_starts(styles, true_class, ["a", "b", "c"], 7, seed=5)
    assert other.names != small.names
    with pytest.raises(StageError, match=r"measure_robustness\.samples: got 61, 21 of class a; the population has 20"):
        draw_starts(styles, true_class, ["a", "b", "c"], 61, seed=1)


def test_sets_are_sought_from_the_walked_means_and_the_first_walked_samples():
    true_class = np.arange(12) % 2
    starts = draw_starts(np.zeros((12, 1), np.float32), true_class, ["a", "b"], 6, seed=1)  # 2 means, 3 + 3 samples
    walked = np.array([True, False, False, True, True, True, False, False])
    assert list(choose_for_sets(starts, walked, 3)) == [True, False, False, True, True, True, False, False]
    assert list(choose_for_sets(starts, walked, 1)) == [True, False, False, True, False, False, False, False]
    assert list(choose_for_sets(starts, walked, 0)) == [True] + [False] * 7
