"""Bisection and walks on functions whose crossing is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.statistics.estimates import find_median
from failure_atlas.walks.bisection import find_crossings
from failure_atlas.walks.starts import choose_starts
from failure_atlas.walks.walks import LEVEL, TOLERANCE, Candidates, space_grid, walk_dimensions

GRID = space_grid(20.0, 0.5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def follow(function, starts, grid=GRID, **options):
    options = {"level": LEVEL, "tolerance": TOLERANCE} | options
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


def test_the_first_of_several_crossings_counts():
    crossings = follow(lambda _, t: 0.5 + 0.4 * np.cos(t), [0.9])
    assert crossings.position[0] == pytest.approx(np.pi / 2, abs=0.003)


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


def test_a_start_in_doubt_is_refused_and_none_is_fine():
    with pytest.raises(ValueError, match=r"above 0\.5"):
        follow(lambda _, t: t, [0.5])
    assert len(follow(lambda _, t: t, []).position) == 0


@given(st.floats(0.01, 100), st.floats(0.01, 5))
def test_the_grid_ends_exactly_at_the_farthest_shift(farthest, step):
    grid = space_grid(farthest, step)
    assert grid[-1] == farthest
    assert grid[0] > 0
    assert (np.diff(np.r_[0, grid]) <= step * (1 + 1e-9)).all()


class LogisticWorld:
    """p = sigmoid(b . s): moving dimension j by t std changes the logit by b_j std_j t."""

    def __init__(self) -> None:
        self.slope = np.array([2.0, -1.0, 0.0, 0.5, 0.001, 0.1, 0.7])
        self.std = np.array([1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.0])
        self.logit = np.array([4.0, 2.0, -1.0])
        step = -np.sign(self.slope) * self.std
        order = np.array([0, 1, 2, 6, 4, 3, 5])
        self.candidates = [Candidates(order, step[order])] * 3
        self.calls = 0

    def measure(self, start, dimension, amount):
        self.calls += 1
        return sigmoid(self.logit[start] + self.slope[dimension] * amount)

    def walk(self, wanted, **options):
        options = {"grid_std": GRID, "min_effect": 0.01} | options
        return walk_dimensions(self.measure, sigmoid(self.logit), self.candidates, wanted=wanted, **options)


def test_walks_fall_to_half_at_the_exact_shift_and_skip_dimensions_without_effect():
    world = LogisticWorld()
    walks, skipped = world.walk(4)
    # dimension 2 has score 0, 6 has std 0, 4 moves the logit by 0.02 at most: three passed over, none for start 2
    assert list(skipped) == [3, 3, 0]
    assert list(walks.start) == [0] * 4 + [1] * 4
    assert list(walks.dimension) == [0, 1, 3, 5] * 2
    assert list(walks.place) == [0, 1, 5, 6] * 2
    expected = world.logit[walks.start] / np.abs(world.slope * world.std)[walks.dimension]
    inside = expected < 19.9
    assert list(inside) == [True] * 3 + [False] + [True] * 4 if expected[-1] < 19.9 else True
    np.testing.assert_allclose(walks.shift_std[inside], expected[inside], rtol=0.004)
    assert walks.reached[inside].all()
    assert (walks.shift_std <= 20).all()
    assert (np.sign(walks.step) == -np.sign(world.slope[walks.dimension])).all()


@pytest.mark.parametrize("farthest", [20.0, 1.0])
def test_each_walk_returned_is_told_once_and_a_skipped_dimension_never(farthest):
    ended = []
    walks, skipped = LogisticWorld().walk(4, grid_std=space_grid(farthest, 0.5), on_end=ended.append)
    assert skipped.sum() > 0
    assert 0 < sum(ended) == len(walks.start) <= 8  # four from each start that is walked, at most


def test_unreached_walks_stop_at_the_farthest_shift_and_are_flagged():
    walks, _ = LogisticWorld().walk(3, grid_std=space_grid(1.0, 0.5))
    own = walks.start == 0
    assert list(walks.reached[own]) == [False, False, False]
    assert (walks.shift_std[own] == 1).all()


def test_skipping_is_off_without_a_least_effect_except_where_no_walk_exists():
    walks, skipped = LogisticWorld().walk(4, min_effect=0.0)
    assert list(skipped) == [2, 2, 0]  # score 0 and std 0
    assert list(walks.dimension[walks.start == 0]) == [0, 1, 4, 3]


def test_too_few_dimensions_give_fewer_walks():
    walks, skipped = LogisticWorld().walk(50)
    assert np.bincount(walks.start, minlength=3).tolist() == [4, 4, 0]
    assert list(skipped) == [3, 3, 0]


def test_no_start_gives_no_walk():
    world = LogisticWorld()
    world.logit = np.array([-1.0, -2, 0])
    walks, skipped = world.walk(2)
    assert len(walks.start) == 0
    assert list(skipped) == [0, 0, 0]
    assert world.calls == 0


def test_median_of_censored_distances():
    distance = np.array([1.0, 2, 3, 20, 20])
    assert find_median(distance, np.array([1, 1, 1, 0, 0], bool))[0] == 3
    assert find_median(distance, np.array([1, 1, 0, 0, 0], bool))[0] == np.inf
    assert np.isnan(find_median(distance[:0], np.zeros(0, bool))).all()


def test_interval_of_the_median_covers_at_its_level():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        values = random.exponential(size=40)
        _, low, high = find_median(values, values < 2)  # censored well beyond the median
        hits += low <= np.log(2) <= high
    assert 0.93 <= hits / 400 <= 0.99


def test_starts_are_class_means_and_then_the_samples_asked_for():
    styles, true_class = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    starts = choose_starts(styles, true_class, 2, [5, 0])
    np.testing.assert_array_equal(starts.styles, [[4, 5], [6, 7], [10, 11], [0, 1]])
    assert list(starts.true_class) == [0, 1, 1, 0]
    assert starts.names == ["mean", "mean", "5", "0"]
