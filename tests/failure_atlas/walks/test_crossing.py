"""Brackets and bisection on functions whose crossing is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit as sigmoid

from failure_atlas.walks.crossing import LEVEL, TOLERANCE, find_crossings, halve_brackets, space_grid

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
    assert list(crossings.reached) == [True, False]
    assert crossings.position[1] == 4


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
    with pytest.raises(ValueError, match=r"above 0\.5"):
        follow(lambda _, t: t, [0.5])
    assert len(follow(lambda _, t: t, []).position) == 0


@given(st.floats(0.01, 100), st.floats(0.01, 5))
def test_the_grid_ends_exactly_at_the_farthest_shift(farthest, step):
    grid = space_grid(farthest, step)
    assert grid[-1] == farthest
    assert grid[0] > 0
    assert (np.diff(np.r_[0, grid]) <= step * (1 + 1e-9)).all()
