"""Distance, precision and recall of sets of features, against one reference."""

import numpy as np
import pytest

from stages.qualify_generator.comparison import compare_features


def test_a_perfect_generator_is_at_the_floor_and_a_poor_one_above():
    stream = np.random.default_rng(1)
    draw = lambda count, scale: [scale * stream.standard_normal((300, 4)) for _ in range(count)]  # noqa: E731
    test = stream.standard_normal((300, 4))
    train, told = draw(4, 1), []
    good = compare_features(draw(6, 1), train, test, 3, lambda: told.append(1))
    assert good["frechet_ratio_interval"]["low"] < 1 < good["frechet_ratio_interval"]["high"]
    assert good["precision"] == pytest.approx(good["precision_real"], abs=0.03)
    assert (len(told), good["frechet_populations"], good["frechet_train_subsets"]) == (10, 6, 4)
    assert good["frechet_distance_interval"]["n"] == good["frechet_samples"] == 300

    narrow = compare_features(draw(6, 0.3), train, test, 3)
    assert narrow["frechet_ratio_interval"]["low"] > 5
    assert narrow["precision"] > narrow["precision_real"]
    assert narrow["recall"] < 0.6 < narrow["recall_real"]


def test_one_train_subset_has_a_floor_without_interval():
    stream = np.random.default_rng(2)
    sets = [stream.standard_normal((30, 2)) for _ in range(4)]
    compared = compare_features(sets[:2], sets[2:3], sets[3], 3)
    assert compared["frechet_floor"] > 0
    assert np.isnan(compared["frechet_floor_interval"]["low"])
    assert np.isnan(compared["frechet_ratio_interval"]["low"])
