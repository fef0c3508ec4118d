"""The null of random directions against draws of them; planted dimensions are found and others are not."""

import numpy as np
import pytest
from scipy import stats

from stages.compare_rankings.influence import (
    bound_directions,
    compare_with_directions,
    compare_with_zero,
    control_discoveries,
    mark_significant,
    measure_sign_stability,
    overlap,
)
from stages.compare_rankings.stability import judge_influence


def draw_null(mean, draws, seed=0):
    directions = np.random.default_rng(seed).normal(size=(draws, len(mean)))
    return np.abs(directions @ mean) / np.linalg.norm(directions, axis=1)


@pytest.mark.parametrize("dimensions", [2, 5, 60])
def test_p_values_are_those_of_drawn_directions(dimensions):
    mean = np.random.default_rng(1).normal(size=dimensions) ** 3
    null = draw_null(mean, 100_000)
    expected = [(null >= abs(value)).mean() for value in mean]
    np.testing.assert_allclose(compare_with_directions(mean), expected, atol=0.007)
    assert (null < bound_directions(mean, 0.95)).mean() == pytest.approx(0.95, abs=0.004)


def test_edges_of_the_null():
    assert compare_with_directions(np.array([3.0])).tolist() == [1]
    assert bound_directions(np.array([-3.0]), 0.95) == 3
    assert compare_with_directions(np.zeros(4)).tolist() == [1] * 4
    one = compare_with_directions(np.array([2.0, 0, 0, 0]))
    assert one.tolist() == [0, 1, 1, 1]  # no direction has more of it
    both = compare_with_directions(np.array([[1.0, 2, 3], [2, 4, 6]]))
    np.testing.assert_allclose(both[0], both[1])  # the scale does not matter


def test_zero_test_is_students():
    values = np.random.default_rng(0).normal(0.2, 1, size=(30, 4))
    expected = stats.ttest_1samp(values, 0)
    found = compare_with_zero(values.mean(0), values.std(0, ddof=1) / np.sqrt(30), 29)
    np.testing.assert_allclose(found, expected.pvalue)
    assert compare_with_zero(np.zeros(1), np.zeros(1), 5).tolist() == [1]


def test_false_discoveries_are_controlled_row_by_row():
    p_value = np.array([[0.01, 0.02, 0.9], [0.001, 0.9, 0.9]])
    np.testing.assert_allclose(control_discoveries(p_value), [[0.03, 0.03, 0.9], [0.003, 0.9, 0.9]])


def test_an_even_spread_of_influence_has_no_influential_dimension_and_planted_ones_are_found():
    random = np.random.default_rng(2)
    assert mark_significant(random.normal(size=(200, 300)), 0.05).any(axis=1).mean() < 0.1
    mean = random.normal(size=300)
    mean[[5, 50, 200]] = [12, -15, 20]
    assert np.flatnonzero(mark_significant(mean, 0.05)).tolist() == [5, 50, 200]


def test_sign_stability_counts_halves():
    halves = np.array([[1.0, -1, 1], [1, 1, 0], [2, 1, -1], [1, 1, -1]])
    np.testing.assert_allclose(measure_sign_stability(np.array([1.0, 1, -1]), halves), [1, 0.75, 0.5])


def test_overlap_of_known_sets():
    first = np.array([[True, True, False], [False, False, False]])
    second = np.array([[True, False, True], [False, False, False]])
    np.testing.assert_allclose(overlap(first, second), [1 / 3, 1])


def judged(scatter, seed=0, samples=1000):
    """Three planted dimensions of 100, one of them with another sign in half of the halves."""
    random = np.random.default_rng(seed)
    whole = random.normal(size=100)
    whole[:3] = [10, -12, 9]

    def noisy(count):
        return whole + scatter * random.normal(size=(count, 100))

    halves = noisy(20), noisy(20)
    halves[0][:, 2] *= -1
    return judge_influence(
        whole, halves, noisy(50), noisy(1)[0], np.full(100, scatter), fdr=0.05, samples=samples
    )  # fmt: skip


def test_a_dimension_of_unsteady_sign_is_not_influential():
    influence = judged(scatter=0.01)
    assert np.flatnonzero(influence.columns["influential"]).tolist() == [0, 1]
    assert influence.columns["sign_stability"][2] == 0.5
    assert influence.columns["q_value"][2] < 0.05
    assert influence.metrics["influential_dimensions"] == {"value": 2, "low": 2, "high": 2, "n": 1000}
    assert influence.metrics["influential_overlap_of_halves"]["value"] == 1
    assert influence.metrics["influential_overlap_of_populations"]["value"] == 1
    whole = influence.columns["effect"]
    share = (whole[:2] ** 2).sum() / (whole**2).sum()
    assert influence.metrics["influential_share_of_squared_effect"] == pytest.approx(share)


def test_samples_that_scatter_overlap_less_and_widen_the_interval():
    steady, shaky = judged(scatter=0.01).metrics, judged(scatter=4).metrics
    assert shaky["influential_overlap_of_halves"]["value"] < steady["influential_overlap_of_halves"]["value"]
    number = shaky["influential_dimensions"]
    assert number["high"] > number["low"]
