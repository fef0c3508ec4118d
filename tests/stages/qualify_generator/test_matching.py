"""Matched sets hold the same number of images of each class, and share none."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.quality.manifold import count_classes, draw_matched


def test_as_many_as_both_have():
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2, 2])
    assert count_classes(first, second, 100, 3).tolist() == [2, 2, 1]


def test_fewer_in_the_same_shares():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert count_classes(labels, labels, 10, 3).tolist() == [6, 3, 1]
    assert count_classes(labels, labels, 15, 3).tolist() == [9, 5, 1]  # 9, 4.5 and 1.5: the first remainder wins


def test_a_class_that_one_source_lacks_is_left_out():
    assert count_classes(np.array([0, 1]), np.array([0, 0]), 10, 2).tolist() == [1, 0]


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 1000), train=st.integers(20, 200), test=st.integers(20, 100), samples=st.integers(1, 120),
    most=st.integers(1, 5)
)  # fmt: skip
def test_sets_are_matched_disjoint_and_no_larger_than_asked(seed, train, test, samples, most):
    stream = np.random.default_rng(seed)
    first, second = stream.integers(0, 4, test), stream.integers(0, 4, train)
    counts = count_classes(first, second, samples, 4)
    assert counts.sum() <= samples
    sets = draw_matched(second, counts, most, stream)
    assert 1 <= len(sets) <= most
    assert all(np.bincount(second[rows], minlength=4).tolist() == counts.tolist() for rows in sets)
    together = np.concatenate(sets)
    assert len(np.unique(together)) == len(together)


def test_same_stream_same_sets():
    labels = np.arange(40) % 4
    one, two = (draw_matched(labels, np.full(4, 3), 3, np.random.default_rng(1)) for _ in range(2))
    assert [rows.tolist() for rows in one] == [rows.tolist() for rows in two]
    assert len(one) == 3
