"""Centres and distances against one sample at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.curves.distance import find_centres, measure_distances, square_deviations


def test_centres_are_means_of_well_classified_samples():
    styles = np.array([[0.0, 0], [2, 0], [9, 9], [4, 8]], np.float32)
    true_class, well = np.array([0, 0, 0, 1]), np.array([True, True, False, True])
    assert find_centres(styles, true_class, well, 2, "own_class").tolist() == [[1, 0], [4, 8]]
    np.testing.assert_allclose(find_centres(styles, true_class, well, 2, "all"), [[2, 8 / 3]] * 2)


def test_class_without_well_classified_samples_has_no_centre():
    styles, true_class = np.ones((4, 2), np.float32), np.array([0, 0, 1, 1])
    well = true_class == 0
    centres = find_centres(styles, true_class, well, 2, "own_class")
    distances = measure_distances(square_deviations(styles, true_class, centres, None), np.array([0, 1]))
    assert np.isnan(distances).tolist() == [False, False, True, True]
    assert np.isnan(find_centres(styles, true_class, ~well & well, 2, "all")).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 20), standardised=st.booleans())
def test_agrees_with_one_sample_at_a_time(seed, n, standardised):
    stream = np.random.default_rng(seed)
    styles, true_class = stream.standard_normal((n, 6)), stream.integers(0, 3, n)
    centres, scale = stream.standard_normal((3, 6)), stream.uniform(0.5, 2, 6)
    dimensions = stream.choice(6, 4, replace=False)
    squares = square_deviations(styles, true_class, centres, scale if standardised else None)
    for i, distance in enumerate(measure_distances(squares, dimensions)):
        step = (styles[i] - centres[true_class[i]])[dimensions] / (scale[dimensions] if standardised else 1)
        assert distance == pytest.approx(np.linalg.norm(step))


def test_dead_dimension_adds_nothing():
    squares = square_deviations(np.array([[3.0, 7.0]]), np.array([0]), np.array([[0.0, 7.0]]), np.array([1.0, 0.0]))
    assert squares.tolist() == [[9, 0]]
