"""Moves along chosen dimensions, with a linear classifier whose accuracy is known at every shift."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.curves.shift import build_move, measure_shifts, space_shifts
from stages.common.artefacts.ranking import ALL, Order, draw_dimensions, draw_sets, read_order
from stages.common.artefacts.shifts import OWN_CLASS, RANDOM, TOP
from stages.shift_samples.study import study_shifts


def test_shifts_include_both_ends():
    assert space_shifts(5.0, 0.5).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert space_shifts(0.3, 0.1) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert space_shifts(1.0, 0.4) == pytest.approx([0, 0.4, 0.8])


def test_move_touches_the_chosen_dimensions_only():
    move = build_move(np.array([2, 0]), np.array([-1, 1, 1, 0]), np.array([0.5, 9, 2, 7]))
    assert move.tolist() == [-0.5, 0, 2, 0]
    assert move.dtype == np.float32


def test_isotropic_styles_and_a_linear_classifier_follow_the_normal_distribution():
    # Class 0 while the sum over four unit-variance dimensions is below 2: moved by t each, right with Phi(1 - 2 t).
    styles = np.random.default_rng(1).standard_normal((20_000, 6)).astype(np.float32)
    move = build_move(np.arange(4), np.ones(6, int), np.ones(6))
    shifts = np.array([0.0, 0.5, 1.0])
    correct = measure_shifts(
        lambda s: (s[:, :4].sum(1) > 2).astype(int), styles, move, np.zeros(len(styles), int), shifts
    )
    np.testing.assert_allclose(correct.mean(1), stats.norm.cdf(1 - 2 * shifts), atol=0.01)


def test_each_sample_may_have_a_move_of_its_own():
    styles, moves = np.zeros((2, 2), np.float32), np.array([[1, 0], [0, 1]], np.float32)
    correct = measure_shifts(lambda s: (s[:, 0] > 0.5).astype(int), styles, moves, np.zeros(2, int), np.array([0.0, 1]))
    assert correct.tolist() == [[True, True], [False, True]]


def test_study_moves_all_classes_their_own_and_random_ones():
    # Two classes told apart by the sign of dimension 0 (class 1 above); dimension 0 hurts each class in one direction.
    stream = np.random.default_rng(2)
    true_class = np.arange(400) % 2
    styles = stream.standard_normal((400, 10)).astype(np.float32) * 0.1
    styles[:, 0] += np.where(true_class == 1, 1, -1)
    order = np.arange(10)
    orders = {
        ALL: Order(order, np.array([1] + [1] * 9)),
        "a": Order(order, np.array([1] + [1] * 9)),
        "b": Order(order, np.array([-1] + [1] * 9)),
    }
    random_sets = [np.array([draw % 8 + 2]) for draw in range(4)]
    # The judge reads everything but class 1.
    shifted = study_shifts(
        lambda s: np.stack([s[:, 0] > 0, np.zeros(len(s))]).astype(int), styles, true_class, np.ones(10),
        orders, random_sets, np.array([0.0, 2.0]),
    )  # fmt: skip
    right = shifted.classifier.mean(axis=2)
    assert right[TOP].tolist() == [1, 0.5]
    assert right[OWN_CLASS].tolist() == [1, 0]
    assert right[RANDOM].tolist() == [1, 1]
    assert (shifted.judge == (true_class == 0)).all()
    assert np.bincount(shifted.draw).tolist() == [100] * 4
    assert shifted.dimensions == 1


def write_ranking(dimensions, scope="global"):
    count = len(dimensions)
    return pd.DataFrame(
        {"scope": scope, "rank": range(1, count + 1), "dimension": dimensions, "direction": [1, -1, 0][:count]}
    )


def test_order_of_a_scope():
    table = pd.concat([write_ranking([2, 0, 1]).iloc[::-1], write_ranking([0, 1, 2], "7")])
    order = read_order(table, "global", 3)
    assert order.dimensions.tolist() == [2, 0, 1]
    assert order.direction.tolist() == [-1, 0, 1]  # by dimension
    assert read_order(table, "7", 3).dimensions.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dimensions", [[0, 1], [0, 1, 1], [0, 1, 3]])
def test_ranking_that_misses_a_dimension(dimensions):
    with pytest.raises(StageError, match=r"scope 'global' does not hold each of 3 dimensions once"):
        read_order(write_ranking(dimensions), "global", 3)


def test_random_dimensions_are_different_and_cover_all():
    drawn = [draw_dimensions(6, 4, np.random.default_rng(seed)) for seed in range(20)]
    assert all(len(set(dimensions.tolist())) == 4 for dimensions in drawn)
    assert set(np.concatenate(drawn).tolist()) == set(range(6))


def test_sets_are_the_same_whoever_asks():
    one, other = (draw_sets(50, 5, 3, partial(numpy_stream, 1)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert len({tuple(each) for each in one}) == 3
