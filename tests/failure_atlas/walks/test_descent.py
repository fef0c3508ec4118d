"""Joint walks and greedy sets in worlds whose crossings are known, and the space that they move through."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from failure_atlas.walks.crossing import TOLERANCE as SOFTMAX_TOLERANCE
from failure_atlas.walks.descent import find_sets, walk_jointly, walk_on
from failure_atlas.walks.kinds import BEYOND, JOINT, SET, SINGLE, search_failures
from failure_atlas.walks.single import Candidates
from failure_atlas.walks.space import StdSpace, measure_length
from failure_atlas.world.gradients import log_odds
from failure_atlas.world.show import CLASSIFIER, World

STEPS = {"step_std": 0.25, "max_path_std": 10.0}
BUDGET = {"budget_std": 2.0, "step_std": 0.25, "most_dimensions": 30}
TOLERANCE = 4.1 * SOFTMAX_TOLERANCE  # in log-odds, near 0


class LinearWorld:
    """Log-odds that fall linearly with the offset: value = start + slope . u, for every start the same slope."""

    def __init__(self, start, slope):
        self.start, self.slope = np.array(start), np.array(slope)
        self.measured, self.differentiated = 0, 0

    def measure(self, rows, offset):
        self.measured += len(rows)
        return self.start[rows] + offset @ self.slope

    def differentiate(self, rows, offset):
        self.differentiated += len(rows)
        return self.start[rows] + offset @ self.slope, np.tile(self.slope, (len(rows), 1))


def show(styles):
    return styles[:, None, None, :]


def test_a_std_space_moves_by_stds_in_any_batch_size_and_counts():
    random = np.random.default_rng(1)
    styles, std = random.normal(size=(5, 3)).astype(np.float32), np.array([2.0, 0.0, 0.5])
    matrix, labels, offset = random.normal(size=(3, 4)), np.array([0, 1, 2, 3, 0]), random.normal(size=(5, 3))
    slopes = torch.tensor(matrix, dtype=torch.float32)

    def expect(rows, offset):
        return log_odds(torch.tensor((styles[rows] + std * offset) @ matrix), torch.tensor(labels[rows]))

    each, swapped = np.arange(5), np.array([1, 4])
    for batch_size in (2, 100):
        space = StdSpace(World(show, {CLASSIFIER: lambda s: s.flatten(1) @ slopes}, batch_size), styles, labels, std)
        value, slope = space.differentiate(each, offset)
        part = space.select(np.array([4, 1])).measure(np.array([1, 0]), offset[:2])
        assert (space.passes.images, space.passes.gradients) == (7, 5)
        np.testing.assert_allclose(space.place(each, offset), styles + std * offset, rtol=1e-6)
        np.testing.assert_allclose(value, expect(each, offset), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(part, expect(swapped, offset[:2]), rtol=1e-5, atol=1e-5)
        for dimension, step in enumerate(1e-4 * np.eye(3)):  # the slow twin: central differences
            twin = (expect(each, offset + step) - expect(each, offset - step)) / 2e-4
            np.testing.assert_allclose(slope[:, dimension], twin, rtol=1e-4, atol=1e-5)


def test_slopes_are_taken_anew_where_asked_and_kept_elsewhere():
    """Log-odds s0^2 + 3 s1 of class 0 over class 1: only the first slope changes, and only if it is taken anew."""

    def classify(images):
        values = images.flatten(1)
        return torch.stack([values[:, 0] ** 2 + 3 * values[:, 1], torch.zeros(len(values))], dim=1)

    std = np.array([2.0, 1.0, 0.0])
    styles = np.array([[1, 0, 0], [2, 0, 0]], np.float32)
    space = StdSpace(World(show, {CLASSIFIER: classify}, 4, classes=2), styles, np.zeros(2, np.int64), std)
    found = space.keep_slopes(np.array([True, True]), 1, 0.1)
    np.testing.assert_allclose(found.kept.at_start, [[4, 3, 0], [8, 3, 0]], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.kept.dimensions, [[0], [0]])
    assert space.passes.images == 2 * (2 * 2 + 1)  # both starts, and two images along each dimension that varies
    moved, offset = np.array([1]), np.array([[0.5, 0.0, 0.0]])
    values, slopes = found.select(np.array([1, 0])).differentiate(np.array([0]), offset)
    np.testing.assert_allclose(values, [9], rtol=1e-6)
    np.testing.assert_allclose(slopes, [[12, 3, 0]], rtol=1e-5, atol=1e-6)
    other = replace(found, kept=replace(found.kept, dimensions=np.array([[1], [1]])))
    np.testing.assert_allclose(other.differentiate(moved, offset)[1], [[8, 3, 0]], rtol=1e-5, atol=1e-6)
    assert not space.keep_slopes(np.array([False, True]), 2, 0.1).kept.at_start[0].any()


def test_joint_walks_in_a_linear_world_are_straight_and_as_short_as_can_be():
    world = LinearWorld([5.0, 1.0, -0.5, 60.0], [3.0, 0.0, -4.0])
    ended = []
    walks = walk_jointly(world.measure, world.differentiate, 4, 3, **STEPS, on_end=ended.append)
    assert list(walks.reached) == [True, True, True, False]
    np.testing.assert_allclose(walks.length_std, [1.0, 0.2, 0, 10], atol=TOLERANCE / 5 + 1e-9)  # value / |slope|
    np.testing.assert_allclose(measure_length(walks.offset), walks.length_std, rtol=1e-12)
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


def test_a_walk_without_slope_ends_where_it_stands_and_no_start_is_fine():
    ended = []
    world = LinearWorld([1.0, 2.0], [0.0, 0.0])
    walks = walk_jointly(world.measure, world.differentiate, 2, 2, **STEPS, on_end=ended.append)
    assert not walks.reached.any()
    assert not walks.length_std.any()
    assert sum(ended) == 2
    assert not walk_on(world.differentiate, np.arange(2), walks.offset, step_std=0.25, length_std=1).any()
    assert len(walk_jointly(world.measure, world.differentiate, 0, 2, **STEPS).reached) == 0
    assert len(find_sets(world.measure, world.differentiate, 0, 2, **BUDGET)[1]) == 0


def test_walking_on_goes_as_far_as_asked_whatever_the_step():
    world = LinearWorld([1.0, 2.0], [3.0, -4.0])
    for step_std in (0.25, 0.3, 5.0):
        ends = walk_on(world.differentiate, np.array([1]), np.ones((1, 2)), step_std=step_std, length_std=1.0)
        np.testing.assert_allclose(ends, [[0.4, 1.8]])


def test_greedy_sets_in_a_linear_world_are_the_smallest():
    slope = np.array([1.0, -3.0, 0.5, 2.0, 0.0])
    # the steepest give 6, 4, 2 and 1 within 2 std
    world = LinearWorld([3.0, 7.0, 12.5, 14.0, -1.0], list(slope))
    ended = []
    sets, pruned = find_sets(world.measure, world.differentiate, 5, 5, **BUDGET, on_end=ended.append)
    assert list((sets.offset != 0).sum(axis=1)) == [1, 2, 4, 4, 0]
    assert list(sets.reached) == [True, True, True, False, True]
    assert sum(ended) == 5
    assert not pruned.any()
    np.testing.assert_allclose(sets.offset[0], [0, 1, 0, 0, 0], atol=TOLERANCE)  # shrunk from 2 std
    np.testing.assert_allclose(sets.offset[1], np.array([0, 2, 0, -2, 0]) * 0.7, atol=TOLERANCE)
    np.testing.assert_allclose(sets.offset[3], [-2, 2, -2, -2, 0])
    most, _ = find_sets(world.measure, world.differentiate, 4, 5, **BUDGET | {"most_dimensions": 2})
    np.testing.assert_allclose(most.offset[3], [0, 2, 0, -2, 0])
    assert list(most.reached) == [True, True, False, False]
    value = world.measure(np.arange(3), sets.offset[:3])
    assert ((value <= 1e-9) & (value >= -TOLERANCE - 1e-9)).all()


def test_greedy_sets_drop_what_later_moves_made_needless():
    def measure(_, offset):
        u = -offset
        # the second dimension alone suffices, but looks flatter at the start
        return 3 - 1.0 * u[:, 0] - np.where(u[:, 1] > 1, 4 * (u[:, 1] - 1) + 0.9, 0.9 * u[:, 1])

    def differentiate(rows, offset):
        return measure(rows, offset), np.tile([1.0, 0.9], (len(rows), 1))

    sets, pruned = find_sets(measure, differentiate, 1, 2, **BUDGET)
    assert sets.reached[0]
    assert list((sets.offset != 0).sum(axis=1)) == [1]
    assert list(pruned) == [1]
    assert sets.offset[0, 0] == 0
    assert measure(None, sets.offset)[0] == pytest.approx(0, abs=TOLERANCE)


def test_greedy_moves_stop_at_the_lowest_point_and_skip_what_only_raises():
    def measure(_, offset):
        return 5 + np.square(offset[:, 0] - 1) + np.abs(offset[:, 1])  # the slope at 0 misleads along the second

    def differentiate(rows, offset):
        return measure(rows, offset), np.stack([2 * (offset[:, 0] - 1), np.full(len(rows), -9.0)], axis=1)

    sets, pruned = find_sets(measure, differentiate, 1, 2, **BUDGET)
    np.testing.assert_allclose(sets.offset, [[1.0, 0.0]])
    assert not sets.reached[0]
    assert list(pruned) == [0]


def test_a_search_walks_by_every_rule_from_where_the_classifier_is_sure():
    """Log-odds s . (3, 4, 0) of class 0: from 10, 2 std away jointly and 2.5 along the second dimension alone."""

    def classify(images):
        values = images.flatten(1)
        return torch.stack([3 * values[:, 0] + 4 * values[:, 1], torch.zeros(len(values))], dim=1)

    styles = np.array([[0, 2.5, 1], [0, -1, 1], [6, 8, 1]], np.float32)
    space = StdSpace(World(show, {CLASSIFIER: classify}, 4, classes=2), styles, np.zeros(3, np.int64), np.ones(3))
    candidates = Candidates(np.tile([2, 0, 1], (3, 1)), np.tile([-1.0, -1, -1], (3, 1)))
    found = search_failures(
        space, space.score(np.arange(3), np.zeros(3, int), np.zeros(3)), np.array([True, False, False]), candidates,
        step_std=0.25, max_shift_std=4.0, single_step_std=0.25, single_max_shift_std=4.0, budget_std=3.0,
        most_dimensions=2,
    )  # fmt: skip
    assert list(found.walked) == [True, False, True]
    joint, beyond, single, sets = (found.moves[place] for place in (JOINT, BEYOND, SINGLE, SET))
    np.testing.assert_allclose(joint.length_std, [2, 0, 4], atol=1e-3)
    assert [list(moves.reached) for moves in (joint, beyond, single, sets)] == [
        [True, True, False], [True, True, False], [True, True, False], [True, True, False]
    ]  # fmt: skip
    np.testing.assert_allclose(measure_length(beyond.offset), [3, 0, 4], atol=1e-3)
    np.testing.assert_allclose(single.offset, [[0, -2.5, 0], [0, 0, 0], [0, 0, 0]], atol=2e-3)
    np.testing.assert_allclose(single.length_std, [2.5, 0, 4], atol=2e-3)
    assert (list(found.single_dimension), list(found.top_std)) == ([1, -1, -1], [4, 0, 4])
    assert list(found.top_reached) == [False, True, False]
    np.testing.assert_allclose(sets.offset, [[0, -2.5, 0], [0, 0, 0], [0, 0, 0]], atol=2e-3)
