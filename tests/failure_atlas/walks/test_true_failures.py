"""The search for true failures on functions whose answer is known."""

import numpy as np
import pytest
import torch
from scipy.special import expit as sigmoid
from scipy.special import logit

from failure_atlas.walks import true_failures
from failure_atlas.walks.crossing import space_grid
from failure_atlas.walks.single import Walks
from failure_atlas.world.show import CLASSIFIER, JUDGE, World

GRID = space_grid(20.0, 0.5)


class LogisticWorld:
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
        return true_failures.find_true_failures(
            self.weigh, self.crossing, reached, GRID, **{"confidence": 0.8} | options
        )


def test_the_first_true_failure_is_where_the_later_of_the_two_conditions_begins():
    # sure all the way; sure until 6.1, long after the classifier fell; sure only from 9.3 on
    world = LogisticWorld([3.0, 2.0, 4.0], [1.0, 0.7, 2.0], [4, 6.1 + logit(0.8), logit(0.8) - 9.3], [0, -1, 1])
    found = world.find(tolerance_std=1e-9)
    assert found.found.all()
    np.testing.assert_allclose(found.shift_std, [3, 2 / 0.7, 9.3], atol=1e-8)
    assert (found.shift_std >= [3, 2 / 0.7, 9.3]).all()  # the condition holds there
    np.testing.assert_allclose(found.judge_probability, sigmoid(world.c + world.d * found.shift_std), rtol=1e-12)
    coarse = world.find()
    assert (
        (coarse.shift_std - found.shift_std >= 0) & (coarse.shift_std - found.shift_std <= true_failures.TOLERANCE_STD)
    ).all()


def test_there_is_none_if_the_judge_gives_up_first_or_the_classifier_never_fails_in_reach():
    # the judge is sure until 2.9 and the classifier right until 3; wrong from 25 on; the judge is sure from 21 on
    world = LogisticWorld([3.0, 25.0, 3.0], [1.0, 1.0, 1.0], [2.9 + logit(0.8), 5, logit(0.8) - 21], [-1, 0, 1])
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
    found = true_failures.find_true_failures(
        weigh, np.array([1.23, 20.0]), np.ones(2, bool), GRID, confidence=0.8, on_end=ended.append
    )
    assert list(found.shift_std) == [1.23, 20]
    assert list(found.judge_probability) == [0.9, 0.9]
    assert len(asked) == 1
    assert sum(ended) == 2


def test_a_walk_stops_as_soon_as_it_found_one_and_is_told_once():
    world, ended = LogisticWorld([3.0, 8.0], [1.0, 1.0], [5.0, -5.0], [0.0, 0.0]), []
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


def test_walks_that_met_a_failure_end_there():
    three = np.arange(3)
    walks = Walks(three, three, 4 + three, np.array([0.5, -2.0, 3.0]), np.array([1.0, 2, 3]), np.ones(3, bool))
    failures = true_failures.TrueFailures(
        np.array([False, True, True]), np.array([np.nan, 2.5, 4]), np.array([np.nan, 0.9, 0.8])
    )
    ended = true_failures.stop_at_true_failures(walks, failures)
    assert list(ended.dimension) == [5, 6]
    assert list(ended.shift_std) == [2.5, 4]


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
