"""Brackets, walks along single dimensions, their starts, and true failures, on functions whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit as sigmoid
from scipy.special import logit

from failure_atlas.walks import true_failures
from failure_atlas.walks.crossing import LEVEL, TOLERANCE, find_crossings, halve_brackets, space_grid
from failure_atlas.walks.single import Candidates, find_shortest, walk_dimensions
from failure_atlas.walks.starts import choose_for_sets, choose_starts, draw_samples, share_equally
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.common.artefacts.walks import choose_candidates
from tests.refusing import refused

GRID = space_grid(20.0, 0.5)


def follow(function, starts, grid=GRID, **options):
    return find_crossings(function, np.asarray(starts, float), grid, **options)


def test_logistic_functions_cross_where_they_must():
    offset, slope = np.array([3.0, 1.0, 6.0]), np.array([0.7, 0.1, 4.0])
    crossings = follow(lambda i, t: sigmoid(offset[i] - slope[i] * t), sigmoid(offset), tolerance=1e-9)
    assert crossings.reached.all()
    np.testing.assert_allclose(crossings.position, offset / slope, atol=1e-6)
    assert ((crossings.value >= LEVEL - 1e-9) & (crossings.value <= LEVEL)).all()


@given(st.floats(0.01, 8), st.floats(0.02, 30))
def test_the_end_is_on_the_far_side_within_tolerance_or_at_the_grid_end(offset, slope):
    crossings = follow(lambda _, t: sigmoid(offset - slope * t), [sigmoid(offset)])
    if offset / slope <= 20:
        assert crossings.reached[0]
        assert LEVEL - TOLERANCE <= crossings.value[0] <= LEVEL
        # p is 0.5 within 1e-3 where the logit is 0 within 0.004
        assert abs(crossings.position[0] - offset / slope) <= 0.0041 / slope + 1e-9
    elif offset / slope > 20.1:
        assert not crossings.reached[0]
        assert crossings.position[0] == 20
        assert crossings.value[0] == pytest.approx(sigmoid(offset - slope * 20))


def test_the_first_of_several_crossings_counts_and_only_beyond_the_origin():
    wave = lambda _, t: 0.5 + 0.4 * np.cos(t)  # noqa: E731
    found = follow(wave, [0.9, 0.9], origin=np.array([0, 5.0]))
    np.testing.assert_allclose(found.position, [np.pi / 2, np.pi * 2.5], atol=0.003)
    assert not follow(wave, [0.9], origin=20.0).reached[0]


def test_functions_that_ended_are_not_evaluated_again():
    asked = []

    def function(index, t):
        asked.append(index.copy())
        return np.where(index == 0, 0.5 - 0.0005, 0.9)

    arrived = []
    crossings = follow(function, [0.8, 0.9], on_arrival=arrived.append)
    assert list(crossings.reached) == [True, False]
    assert len(asked) == len(GRID)
    assert all(list(index) == [1] for index in asked[1:])
    assert sum(arrived) == 1
    assert crossings.largest_change == pytest.approx([0.3005, 0])


def test_functions_that_nobody_wants_any_more_stop_where_they_are():
    crossings = follow(lambda i, t: 0.9 - 0.1 * t * (i == 0), [0.9, 0.9], follow=lambda reached: not reached.any())
    assert (list(crossings.reached), crossings.position[1]) == ([True, False], 4)


def test_brackets_are_halved_to_a_width_where_that_is_wanted():
    before, position, value = np.zeros(3), np.array([1.0, 1, 1]), np.array([-0.1, -0.1, -0.1])
    steps = np.array([0.3, 0.62, 0.9])
    halve_brackets(
        lambda i, t: np.where(t >= steps[i], -0.1, 1.0),
        np.array([0, 1]), before, position, value, level=0.0, tolerance=0.0, width=1e-3,
    )  # fmt: skip
    assert ((position[:2] >= steps[:2]) & (position[:2] - steps[:2] <= 1e-3)).all()
    assert position[2] == 1  # not asked for


def test_a_start_in_doubt_is_refused_and_none_is_fine():
    refused(r"above 0\.5", follow, lambda _, t: t, [0.5], error=ValueError)
    assert len(follow(lambda _, t: t, []).position) == 0


@given(st.floats(0.01, 100), st.floats(0.01, 5))
def test_the_grid_ends_exactly_at_the_farthest_shift(farthest, step):
    grid = space_grid(farthest, step)
    assert grid[-1] == farthest
    assert grid[0] > 0
    assert (np.diff(np.r_[0, grid]) <= step * (1 + 1e-9)).all()


class LogisticWorld:
    """p = sigmoid(b . s): moving dimension j by t std changes the logit by b_j std_j t."""

    def __init__(self):
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
    assert (list(walks.start), list(walks.dimension)) == ([0] * 4 + [1] * 4, [0, 1, 3, 5] * 2)
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
    assert (list(best.start), list(best.dimension)) == ([0, 1], [0, 0])
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
    columns = {"dimension": range(len(std)), "direction": direction, "std": std}
    return pd.DataFrame(columns)[::-1].assign(scope=name)


def test_candidates_are_the_top_of_the_own_class_that_can_move():
    ranking = pd.concat([make_ranking([1, -1, 0, 1], [1.0, 2, 3, 0]), make_ranking([-1, -1, 1, 1], [1.0] * 4, "b")])
    candidates = choose_candidates(ranking, "class", np.array([1, 0]), ["a", "b"], 4).first_movable(3)
    np.testing.assert_array_equal(candidates.dimension, [[3, 2, 1], [1, 0, 3]])
    np.testing.assert_array_equal(candidates.step, [[1, 1, -1], [-2, 1, 0]])
    told = "ranks 4 dimensions in scope 'a', the generator has 5"
    refused(told, choose_candidates, ranking, "class", np.array([1]), ["a"], 5)


def test_starts_are_class_means_and_then_the_samples_asked_for():
    styles, true_class = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    noise, of_means = np.arange(20, 26), np.array([[1, 2], [3, 4]])
    starts = choose_starts(styles, true_class, noise, of_means, [5, 0])
    np.testing.assert_array_equal(starts.styles, [*[[4, 5], [6, 7]] * 2, [10, 11], [0, 1]])
    assert (list(starts.true_class), starts.names) == ([0, 1, 0, 1, 1, 0], [*["mean"] * 4, "5", "0"])
    assert (list(starts.noise), list(starts.draw)) == ([1, 2, 3, 4, 25, 20], [0, 0, 1, 1, 0, 0])
    alone = choose_starts(styles, true_class, noise, of_means[:1], [])
    assert (list(alone.noise), list(alone.draw), alone.styles.tolist()) == ([1, 2], [0, 0], [[4, 5], [6, 7]])


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
    styles, of_means = np.zeros((12, 1), np.float32), np.zeros((2, 2), np.int64)
    starts = choose_starts(styles, np.arange(12) % 2, np.arange(12), of_means, [0, 2, 4, 1, 3, 5])
    # The means under their second draw of noise, the third and fourth start, get no set.
    walked = np.array([True, False, True, True, False, True, True, True, False, False])
    assert np.flatnonzero(choose_for_sets(starts, walked, 3)).tolist() == [0, 5, 6, 7]
    assert np.flatnonzero(choose_for_sets(starts, walked, 1)).tolist() == [0, 5]
    assert np.flatnonzero(choose_for_sets(starts, walked, 0)).tolist() == [0]


class JudgedWorld:
    """Three classes with logits (a - b t, 0, 0), and a judge that gives the true class sigmoid(c + d t).

    The true class stands at 0.50 where a - b t = log 2; the classifier is wrong beyond a / b.
    """

    def __init__(self, a, b, c, d):
        self.a, self.b, self.c, self.d = (np.array(each, float) for each in (a, b, c, d))
        self.crossing = (self.a - np.log(2)) / self.b
        self.wrong_from = self.a / self.b
        self.asked = []

    def weigh(self, walks, t):
        self.asked.append((walks.copy(), t.copy()))
        true = self.a[walks] - self.b[walks] * t
        exponentials = np.exp(np.stack([true, 0 * true, 0 * true], axis=1))
        softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
        wrong = true_failures.tell_wrong(softmax, np.zeros(len(walks), int))
        return np.where(wrong, sigmoid(self.c[walks] + self.d[walks] * t), 0.0)

    def find(self, reached=None, **options):
        reached = np.ones(len(self.a), bool) if reached is None else np.array(reached)
        options = {"confidence": 0.8} | options
        return true_failures.find_true_failures(self.weigh, self.crossing, reached, GRID, **options)


def test_the_first_true_failure_is_where_the_later_of_the_two_conditions_begins():
    # sure all the way; sure until 6.1, long after the classifier fell; sure only from 9.3 on
    world = JudgedWorld([3.0, 2.0, 4.0], [1.0, 0.7, 2.0], [4, 6.1 + logit(0.8), logit(0.8) - 9.3], [0, -1, 1])
    found = world.find(tolerance_std=1e-9)
    assert found.found.all()
    np.testing.assert_allclose(found.shift_std, [3, 2 / 0.7, 9.3], atol=1e-8)
    assert (found.shift_std >= [3, 2 / 0.7, 9.3]).all()  # the condition holds there
    np.testing.assert_allclose(found.judge_probability, sigmoid(world.c + world.d * found.shift_std), rtol=1e-12)
    further = world.find().shift_std - found.shift_std
    assert ((further >= 0) & (further <= true_failures.TOLERANCE_STD)).all()


def test_there_is_none_if_the_judge_gives_up_first_or_the_classifier_never_fails_in_reach():
    # the judge is sure until 2.9 and the classifier right until 3; wrong from 25 on; the judge is sure from 21 on
    world = JudgedWorld([3.0, 25.0, 3.0], [1.0, 1.0, 1.0], [2.9 + logit(0.8), 5, logit(0.8) - 21], [-1, 0, 1])
    found = world.find(reached=[True, False, True])
    assert not found.found.any()
    assert np.isnan(found.shift_std).all()
    assert np.isnan(found.judge_probability).all()
    assert all(1 not in walks for walks, _ in world.asked)  # never at 0.50: nothing to ask
    assert max(t.max() for _, t in world.asked) == 20


def test_a_crossing_that_is_a_true_failure_is_taken_as_it_is():
    asked = []

    def weigh(walks, t):
        asked.append(t.copy())
        return np.full(len(walks), 0.9)

    ended = []
    crossing, options = np.array([1.23, 20.0]), {"confidence": 0.8, "on_end": ended.append}
    found = true_failures.find_true_failures(weigh, crossing, np.ones(2, bool), GRID, **options)
    assert (list(found.shift_std), list(found.judge_probability)) == ([1.23, 20], [0.9, 0.9])
    assert len(asked) == 1
    assert sum(ended) == 2


def test_a_walk_stops_as_soon_as_it_found_one_and_is_told_once():
    world, ended = JudgedWorld([3.0, 8.0], [1.0, 1.0], [5.0, -5.0], [0.0, 0.0]), []
    found = world.find(on_end=ended.append, tolerance_std=0.5)
    assert list(found.found) == [True, False]
    assert sum(ended) == 2
    assert all(t[walks == 0].max(initial=0) <= 3.5 for walks, t in world.asked)


def test_what_lies_between_two_points_of_the_grid_is_not_seen():
    def weigh(walks, t):
        return np.where((t > 3.1) & (t < 3.4), 0.9, 0.0)

    none = np.zeros(0)
    assert len(true_failures.find_true_failures(weigh, none, none.astype(bool), GRID, confidence=0.8).found) == 0
    arguments = (weigh, np.array([2.2]), np.array([True]))
    assert not true_failures.find_true_failures(*arguments, GRID, confidence=0.8).found[0]
    fine = true_failures.find_true_failures(*arguments, space_grid(20.0, 0.1), confidence=0.8)
    assert fine.shift_std[0] == pytest.approx(3.1, abs=true_failures.TOLERANCE_STD)


def follow_one(function, crossing, grid, confidence, tolerance):
    """One walk, point by point: the slow twin."""
    last = crossing
    for point in [crossing, *(point for point in grid if point > crossing)]:
        if function(point) >= confidence:
            while point - last > tolerance:
                middle = (last + point) / 2
                last, point = (last, middle) if function(middle) >= confidence else (middle, point)
            return point, function(point)
        last = point
    return np.nan, np.nan


def test_all_walks_at_once_find_what_each_finds_alone():
    random = np.random.default_rng(1)
    crossing, speed, phase = random.uniform(0, 22, 60).clip(max=20), random.uniform(0, 3, 60), random.uniform(0, 6, 60)
    crossing[:10] = GRID[:10]  # exactly on the grid
    reached = random.random(60) < 0.8

    def weigh(walks, t):
        return 0.5 + 0.45 * np.sin(speed[walks] * t + phase[walks])

    found = true_failures.find_true_failures(weigh, crossing, reached, GRID, confidence=0.8)
    assert 10 < found.found.sum() < reached.sum()
    for walk in range(60):
        twin = follow_one(lambda t, w=walk: float(weigh(w, t)), crossing[walk], GRID, 0.8, true_failures.TOLERANCE_STD)
        twin = twin if reached[walk] else (np.nan, np.nan)
        np.testing.assert_allclose([found.shift_std[walk], found.judge_probability[walk]], twin, rtol=1e-12)
        assert found.found[walk] == (not np.isnan(twin[0]))


def test_a_classifier_in_doubt_is_not_wrong():
    softmax = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.45, 0.55, 0.0], [0.3, 0.3, 0.4], [0.0, 1.0, 0.0]])
    assert list(true_failures.tell_wrong(softmax, np.zeros(5, int))) == [False, False, True, True, True]
    assert list(true_failures.tell_wrong(softmax, np.array([1, 1, 1, 2, 2]))) == [True, True, False, False, True]


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_judge_counts_only_where_the_classifier_is_wrong(batch_size):
    asked = []

    def judge(images):
        asked.append(len(images))
        return (2 * images.flatten(1)).double().log_softmax(dim=1)

    def classify(images):
        return images.flatten(1) @ matrix

    random = torch.Generator().manual_seed(1)
    matrix = torch.randn(3, 3, generator=random)
    styles = torch.rand(11, 3, generator=random).numpy()
    true_class = np.arange(11) % 3
    networks = {CLASSIFIER: classify, JUDGE: judge}
    world = World(lambda s: s.reshape(-1, 1, 1, 3), networks, batch_size, classes=3)
    weight = true_failures.weigh_failures(world, styles, true_class)
    expected = np.full(11, np.inf)
    for images in (styles.astype(float), np.round(styles.astype(float) * 255) / 255):
        logits = images @ matrix.double().numpy()
        softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        opinion = np.exp(2 * images) / np.exp(2 * images).sum(1, keepdims=True)
        wrong = (softmax.argmax(1) != true_class) & (softmax[np.arange(11), true_class] <= 0.5)
        expected = np.minimum(expected, np.where(wrong, opinion[np.arange(11), true_class], 0))
    assert 0 < (expected > 0).sum() < 11
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert sum(asked) == 2 * (expected > 0).sum()
    assert max(asked) <= batch_size


def test_a_failure_that_rounding_to_bytes_undoes_does_not_count():
    images = torch.tensor([[[[100.4 / 255]]], [[[101.4 / 255]]]])  # stored as 100 and 101

    def classify(shown):
        return torch.stack([0 * shown, (shown - 100.2 / 255) * 1e4], dim=1).flatten(1)

    def judge(shown):
        return torch.tensor([[0.9, 0.1]]).log().repeat(len(shown), 1).double()

    world = World(lambda styles: images[styles[:, 0].long()], {CLASSIFIER: classify, JUDGE: judge}, 2, classes=2)
    weight = true_failures.weigh_failures(world, np.array([[0.0], [1.0]], np.float32), np.zeros(2, int))
    np.testing.assert_allclose(weight, [0, 0.9], rtol=1e-6)
