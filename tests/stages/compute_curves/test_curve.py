"""Bins hold equal counts, the tail is cut where stated, and draws average point by point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.curves.curve import Curve, average_curves, bin_accuracy, count_accuracy
from failure_atlas.statistics.estimates import wilson


def test_two_bins():
    curve = bin_accuracy(np.array([4.0, 1, 3, 2]), np.array([False, True, True, True]), 2, 1.0)
    assert curve.x.tolist() == [1.5, 3.5]
    assert curve.accuracy.tolist() == [1, 0.5]
    assert curve.n.tolist() == [2, 2]
    low, high = wilson(np.array([2, 1]), np.array([2, 2]))
    assert curve.low.tolist() == low.tolist()
    assert curve.high.tolist() == high.tolist()


def test_far_tail_is_cut():
    distance = np.arange(100.0)
    curve = bin_accuracy(distance, np.ones(100, bool), 10, 0.9)
    assert curve.n.sum() == 90
    assert curve.x[-1] == np.mean(range(81, 90))


def test_samples_without_distance_are_left_out():
    curve = bin_accuracy(np.array([np.nan, 1, 2, np.nan]), np.array([False, True, True, False]), 2, 1.0)
    assert curve.accuracy.tolist() == [1, 1]
    empty = bin_accuracy(np.full(3, np.nan), np.ones(3, bool), 2, 1.0)
    assert len(empty.x) == len(empty.n) == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), n=st.integers(1, 80), bins=st.integers(2, 12), quantile=st.floats(0.51, 1),
    ties=st.booleans(),
)  # fmt: skip
def test_counts_differ_by_one_at_most_and_nothing_is_lost(seed, n, bins, quantile, ties):
    stream = np.random.default_rng(seed)
    distance = stream.integers(0, 5, n).astype(float) if ties else stream.random(n)
    well = stream.random(n) < 0.7
    curve = bin_accuracy(distance, well, bins, quantile)
    kept = curve.n.sum()
    assert max(1, quantile * n - 1) <= kept <= n
    assert curve.n.max() - curve.n.min() <= 1
    assert len(curve.n) == min(bins, kept)
    assert (np.diff(curve.x) >= 0).all()
    order = np.argsort(distance, kind="stable")[:kept]
    assert (curve.accuracy * curve.n).sum() == pytest.approx(well[order].sum())
    assert (curve.low <= curve.accuracy + 1e-12).all()
    assert (curve.accuracy <= curve.high + 1e-12).all()


def test_order_of_the_samples_does_not_matter():
    stream = np.random.default_rng(1)
    distance, well = stream.random(50), stream.random(50) < 0.5
    shuffle = stream.permutation(50)
    one, two = bin_accuracy(distance, well, 5, 0.99), bin_accuracy(distance[shuffle], well[shuffle], 5, 0.99)
    np.testing.assert_allclose(one.accuracy, two.accuracy)
    np.testing.assert_allclose(one.x, two.x)


def test_same_samples_at_every_step():
    curve = count_accuracy(np.array([0.0, 1.0]), np.array([[True, True], [True, False]]))
    assert curve.accuracy.tolist() == [1, 0.5]
    assert curve.n.tolist() == [2, 2]
    assert np.isnan(count_accuracy(np.array([0.0]), np.empty((1, 0), bool)).accuracy).all()


def test_average_of_draws_has_their_range():
    n = np.array([2, 2])
    curves = [Curve(np.array([0.0, x]), np.array([1.0, y]), n, n, n) for x, y in ((1, 0.2), (3, 0.6))]
    mean = average_curves(curves)
    assert mean.x.tolist() == [0, 2]
    assert mean.accuracy.tolist() == pytest.approx([1, 0.4])
    assert mean.low.tolist() == [1, 0.2]
    assert mean.high.tolist() == [1, 0.6]
