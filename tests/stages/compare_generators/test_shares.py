"""Shares, and what chance makes of them, against closed forms."""

import numpy as np
import pytest

from stages.compare_generators import comparison


def test_shares_and_comparisons_of_many_rows_and_of_nothing():
    """By hand they are compared in the test of the stage."""
    influence, group = np.array([4.0, 3, 2, 1]), np.array(["x", "y", "x", "z"])
    batch = comparison.share_influence(np.stack([influence, 2 * influence]), group, ["x", "y", "z", "w"])
    assert batch == pytest.approx(np.tile([0.6, 0.3, 0.1, 0], (2, 1)))
    assert np.isnan(comparison.share_influence(np.zeros(4), group, ["x", "y"])).all()
    a, b, c = np.array([0.5, 0.5, 0, 0]), np.array([0.25, 0.25, 0.5, 0]), np.array([0, 0, 0, 1.0])
    assert comparison.overlap_shares(np.stack([a, a, a]), np.stack([a, b, c])) == pytest.approx([1, 0.5, 0])
    assert np.isnan(comparison.compare_sets(np.zeros(4), np.zeros(4)))
    assert comparison.compare_directions(a, np.stack([b, c])) == pytest.approx([0.25 / np.sqrt(0.5 * 0.375), 0])


def test_draws():
    random = np.random.default_rng(1)
    strata = np.array(["x", "y", "x", "y", "y"])
    drawn = comparison.draw_with_replacement(5, 300, random, strata)
    assert (strata[drawn] == strata).all()
    assert set(drawn[:, 0]) == {0, 2}
    assert set(comparison.draw_with_replacement(5, 300, random).ravel()) == set(range(5))
    orders = comparison.draw_permutations(5, 300, random)
    assert (np.sort(orders, axis=1) == np.arange(5)).all()
    assert len(np.unique(orders[:, 0])) == 5


def test_bounds_hold_the_value():
    found = comparison.bound(1.0, np.linspace(0, 0.5, 101), 10)
    assert found == {"value": 1.0, "low": pytest.approx(0.0125), "high": 1.0, "n": 10}
    assert np.isnan(comparison.bound(float("nan"), np.ones(3), 10)["low"])
    assert comparison.bound(0.5, np.array([np.nan, 0.4, 0.6]), 10)["high"] < 0.6


def test_p_value_is_never_zero_and_counts_ties():
    chance = np.arange(99) / 100
    assert comparison.describe_chance(2.0, chance)["p_value"] == pytest.approx(1 / 100)
    assert comparison.describe_chance(0.98, chance)["p_value"] == pytest.approx(2 / 100)
    assert comparison.describe_chance(-1.0, chance)["p_value"] == 1
    assert comparison.describe_chance(0.5, np.array([np.nan]))["n"] == 0
