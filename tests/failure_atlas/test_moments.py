"""Moments over batches are those of the whole."""

import numpy as np
import pytest

from failure_atlas.statistics.moments import ClassMoments, measure_std


def test_std_of_parts_is_that_of_all_vectors():
    vectors = np.random.default_rng(0).normal(3, 2, size=(1000, 5)).astype(np.float32)
    wanted = vectors.std(axis=0, ddof=1, dtype=np.float64)
    assert np.array_equal(measure_std(vectors), wanted)
    np.testing.assert_allclose(measure_std(vectors, rows=7), wanted, rtol=1e-12)


def test_std_takes_all_classes_together():
    vectors, labels = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 2, 2, 2])
    moments = ClassMoments(3, 2)
    moments.add(vectors, labels)
    assert moments.std() == pytest.approx(vectors.std(axis=0, ddof=1))
    assert np.isnan(measure_std(vectors[:1])).all()
