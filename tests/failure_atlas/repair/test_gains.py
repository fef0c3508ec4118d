"""Means over trainings and images: a case computed by hand, and what simulated data say of intervals and power."""

import numpy as np
import pytest
from scipy import stats

from failure_atlas.repair.gains import cross_mean, find_detectable, find_error

WORLDS = [  # trainings, images, and the standard deviations of their effects and of what is left
    (5, 100, 0.1, 1.0, 0.5), (3, 100, 0.1, 1.0, 1.0), (4, 60, 0.2, 0.5, 1.0), (8, 50, 0.3, 0.5, 1.0),
]  # fmt: skip


def simulate(world, mean, times):
    """Values [trainings, images] with a true mean, as often as asked for."""
    networks, images, *spread = world
    random = np.random.default_rng(1)
    for _ in range(times):
        parts = [random.normal(0, each, shape) for each, shape in
                 zip(spread, ((networks, 1), (1, images), (networks, images)), strict=True)]  # fmt: skip
        yield mean + sum(parts)


def test_a_case_computed_by_hand():
    values = np.array([[1.0, 2, 3], [3, 4, 8]])  # means of networks: 2 and 5; of images: 2, 3 and 5.5
    networks, images = 4.5 / 2, 3.25 / 3
    freedom = (networks + images) ** 2 / (networks**2 / 1 + images**2 / 2)
    half = np.sqrt(networks + images) * stats.t.ppf(0.975, freedom)
    assert find_error(values) == pytest.approx((np.sqrt(networks + images), half))
    told = cross_mean(values)
    assert (told.value, told.low, told.high) == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    assert told.n == 3
    equal = cross_mean(np.zeros((3, 4)))
    assert (equal.value, equal.low, equal.high, find_detectable(np.zeros((3, 4)))) == (0, 0, 0, 0), "of equal arms"


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (3, 0)])
def test_of_one_network_or_one_image_only_the_mean_is_known(shape):
    told = cross_mean(np.ones(shape))
    assert told.n == shape[1]
    assert np.isnan([told.low, told.high, find_detectable(np.ones(shape))]).all()
    assert told.value == 1 if shape[1] else np.isnan(told.value)


@pytest.mark.parametrize("world", WORLDS)
def test_intervals_cover_the_true_mean_and_effects_are_found_as_often_as_said(world):
    told = [cross_mean(values) for values in simulate(world, 0.2, 700)]
    assert 0.93 <= np.mean([each.low <= 0.2 <= each.high for each in told]) <= 0.99
    effect = np.mean([find_detectable(values) for values in simulate(world, 0.0, 200)])
    found = np.mean([cross_mean(values).low > 0 for values in simulate(world, effect, 700)])
    assert found == pytest.approx(0.8, abs=0.08)
