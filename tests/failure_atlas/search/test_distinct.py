"""Which failures count as different ones, by closed forms and a slow twin."""

import numpy as np

from failure_atlas.search.distinct import choose_distinct, measure_spacing


def test_the_spacing_is_half_the_median_distance_to_the_nearest_of_the_class() -> None:
    features = np.array([[0.0, 0], [1, 0], [4, 0], [0, 0.1], [5, 5], [5, 9], [7, 7]])
    true_class = np.array([0, 0, 0, 1, 2, 2, 4])
    np.testing.assert_allclose(measure_spacing(features, true_class, 5), [0.5, 0, 2, 0, 0])  # of 1, 1, 3; of 4, 4


def test_near_copies_and_the_second_of_a_lineage_are_dropped_and_other_classes_do_not_matter() -> None:
    features = np.array([[0.0], [1.0], [1.1], [9.0], [0.0], [2.05]])
    true_class, lineage = np.array([0, 0, 0, 0, 1, 0]), np.array([0, 1, 2, 0, 0, 3])
    kept = choose_distinct(features, true_class, lineage, np.array([1.0, 5.0]))
    # At exactly the spacing; 1.1 away; of the first lineage; of another class; 0.95 from the third.
    assert list(kept) == [True, False, True, False, True, False]
    assert choose_distinct(features[:0], true_class[:0], lineage[:0], np.ones(2)).shape == (0,)


def test_the_choice_is_that_of_its_slow_twin() -> None:
    random = np.random.default_rng(4)
    features, true_class = random.normal(size=(120, 2)), random.integers(3, size=120)
    lineage, spacing = random.integers(90, size=120), np.array([0.2, 0.5, 0.0])
    taken: list[int] = []
    for row in range(120):
        rivals = [other for other in taken if true_class[other] == true_class[row]]
        near = [np.hypot(*(features[row] - features[other])) <= spacing[true_class[row]] for other in rivals]
        if not any(near) and lineage[row] not in lineage[rivals]:
            taken.append(row)
    assert 30 < len(taken) < 90
    np.testing.assert_array_equal(np.flatnonzero(choose_distinct(features, true_class, lineage, spacing)), taken)
