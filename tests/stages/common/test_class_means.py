"""Class means are gone, and nothing else."""

import numpy as np

from failure_atlas.images.image_set import subtract_class_means


def test_each_class_is_moved_to_the_origin() -> None:
    features = np.array([[1, 10], [3, 20], [5, 60], [0, 0]], np.float32)
    labels = np.array([2, 2, 7, 2])
    centred = subtract_class_means(features, labels)
    third = 10 / 3 * 3
    expected = [[1 - 4 / 3, 10 - third], [3 - 4 / 3, 20 - third], [0, 0], [-4 / 3, -third]]
    np.testing.assert_allclose(centred, expected)
    assert centred.dtype == np.float64
    assert features[0, 0] == 1  # the input is left alone
