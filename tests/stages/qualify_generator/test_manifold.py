"""Precision and recall on points whose manifold is known, and a slow twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.quality import manifold
from failure_atlas.quality.manifold import find_covered, fit_manifold


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


def test_equal_distributions_cover_each_other_and_distant_ones_do_not():
    stream = np.random.default_rng(2)
    first, second = stream.standard_normal((400, 2)), stream.standard_normal((400, 2))
    assert find_covered(first, fit_manifold(second, 3)).mean() > 0.9
    assert not find_covered(first + 20, fit_manifold(second, 3)).any()


def test_one_mode_is_precise_but_has_little_recall():
    stream = np.random.default_rng(3)
    real = np.concatenate([stream.standard_normal((300, 2)), stream.standard_normal((300, 2)) + 20])
    generated = stream.standard_normal((300, 2))
    assert find_covered(generated, fit_manifold(real, 3)).mean() > 0.9
    assert find_covered(real, fit_manifold(generated, 3)).mean() == pytest.approx(0.5, abs=0.05)


def test_too_many_neighbours():
    with pytest.raises(ValueError, match="3 neighbours among 3 samples"):
        fit_manifold(np.zeros((3, 2)), 3)
