"""Precision and recall on points whose manifold is known, and a slow twin; sets with equal counts of each class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.quality import manifold
from failure_atlas.quality.manifold import count_classes, draw_matched, find_covered, fit_manifold


def cover_slowly(points, centres, neighbours):
    """One pair at a time, as the paper defines it."""
    radii = []
    for i, centre in enumerate(centres):
        others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(centres) if j != i)
        radii.append(others[neighbours - 1])
    return np.array([any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True)) for p in points])


def test_points_on_a_line():
    fitted = fit_manifold(np.array([[0.0], [1.0], [2.0], [4.0]]), neighbours=1)
    np.testing.assert_allclose(fitted.squared_radii, [1, 1, 1, 4])
    covered = find_covered(np.array([[-1.0], [-1.1], [3.0], [6.0], [6.1]]), fitted)
    assert covered.tolist() == [True, False, True, True, False]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(5, 20), size=st.integers(1, 4), neighbours=st.integers(1, 4))
def test_agrees_with_one_pair_at_a_time(seed, n, size, neighbours):
    stream = np.random.default_rng(seed)
    centres, points = stream.standard_normal((n, size)), 2 * stream.standard_normal((15, size))
    fast = find_covered(points, fit_manifold(centres, neighbours))
    assert fast.tolist() == cover_slowly(points, centres, neighbours).tolist()


def test_chunks_change_nothing(monkeypatch):
    stream = np.random.default_rng(1)
    centres, points = stream.standard_normal((30, 3)), 2 * stream.standard_normal((25, 3))
    whole = fit_manifold(centres, 3)
    covered = find_covered(points, whole)
    monkeypatch.setattr(manifold, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(fit_manifold(centres, 3).squared_radii, whole.squared_radii)
    assert find_covered(points, whole).tolist() == covered.tolist()


def test_too_many_neighbours():
    with pytest.raises(ValueError, match="3 neighbours among 3 samples"):
        fit_manifold(np.zeros((3, 2)), 3)


@pytest.mark.parametrize(
    ("first", "second", "samples", "counts"),
    [
        ([3, 2, 1], [2, 3, 2], 100, [2, 2, 1]),  # as many as both have
        ([60, 30, 10], [60, 30, 10], 10, [6, 3, 1]),  # fewer in the same shares
        ([60, 30, 10], [60, 30, 10], 15, [9, 5, 1]),  # 9, 4.5 and 1.5: the first remainder wins
        ([1, 1], [2, 0], 10, [1, 0]),  # a class that one source lacks is left out
    ],
)
def test_matched_sets_have_equally_many_of_each_class(first, second, samples, counts):
    labels = (np.repeat(range(len(counts)), of_class) for of_class in (first, second))
    assert count_classes(*labels, samples, len(counts)).tolist() == counts


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
    sets, again = (draw_matched(second, counts, most, np.random.default_rng(seed)) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(sets, again, strict=True))
    assert 1 <= len(sets) <= most
    assert all(np.bincount(second[rows], minlength=4).tolist() == counts.tolist() for rows in sets)
    together = np.concatenate(sets)
    assert len(np.unique(together)) == len(together)
