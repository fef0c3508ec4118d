"""Kaplan-Meier against hand-made tables, a slow twin, and its coverage."""

import numpy as np
import pytest

from failure_atlas.statistics.survival import estimate_survival, find_median


def slow_survival(distance, reached, at):
    share = 1.0
    for value in sorted(set(distance[reached])):
        if value <= at:
            share *= 1 - np.sum((distance == value) & reached) / np.sum(distance >= value)
    return share


def test_it_equals_the_product_limit_with_ties_and_censoring():
    random = np.random.default_rng(3)
    distance, reached = random.integers(0, 8, 60) / 2, random.random(60) < 0.7
    survival = estimate_survival(distance, reached)
    for at, share, at_risk in zip(survival.distance, survival.share, survival.at_risk, strict=True):
        assert share == pytest.approx(slow_survival(distance, reached, at))
        assert at_risk == np.sum(distance >= at)
    assert (survival.low <= survival.share).all()
    assert (survival.share <= survival.high).all()
    assert (np.diff(survival.distance) > 0).all()
    assert survival.n == 60


def test_it_starts_at_zero_stays_at_one_before_the_first_fall_and_is_the_empirical_share_without_censoring():
    survival = estimate_survival(np.array([0.0, 0, 1, 3]), np.ones(4, bool))
    assert (list(survival.distance), list(survival.share)) == ([0, 1, 3], [0.5, 0.25, 0])
    assert survival.low[-1] == 0
    assert survival.high[-1] == survival.high[-2] > 0.25
    survival = estimate_survival(np.array([2.0, 1, 3]), np.array([True, False, True]))
    assert list(survival.distance) == [0, 1, 2, 3]
    assert list(survival.share[:2]) == list(survival.low[:2]) == list(survival.high[:2]) == [1, 1]
    assert list(survival.at_risk) == [3, 3, 2, 1]


def test_the_median_counts_censored_distances_as_longer():
    assert find_median(np.full(9, 10.0), np.zeros(9, bool)) == {"value": np.inf, "low": np.inf, "high": np.inf, "n": 9}
    nothing = find_median(np.zeros(0), np.zeros(0, bool))
    assert (nothing.pop("n"), np.isnan(list(nothing.values())).all()) == (0, True)
    distance = np.array([1.0, 2, 3, 20, 20])
    for reached, median in (([1, 1, 1, 0, 0], 3), ([1, 1, 0, 0, 0], np.inf)):
        assert find_median(distance, np.array(reached, bool))["value"] == median
    assert find_median(np.zeros(7), np.ones(7, bool))["value"] == 0


@pytest.mark.parametrize("n", range(1, 60))
def test_of_what_all_were_followed_equally_far_it_is_the_sample_median(n):
    distance = np.random.default_rng(n).exponential(size=n)
    median = pytest.approx(np.median(distance))
    assert find_median(distance, np.ones(n, bool))["value"] == median
    for back, expected in ((0, median), *(((1, np.inf),) if n % 2 == 0 else ())):
        farthest = np.sort(distance)[n // 2 - back]
        assert find_median(np.minimum(distance, farthest), distance <= farthest)["value"] == expected


def test_the_interval_of_the_median_covers_at_its_level():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        values, limit = random.exponential(size=40), 3 * random.random(40)  # about a third are cut off
        median = find_median(np.minimum(values, limit), values <= limit)
        hits += median["low"] <= np.log(2) <= median["high"]
    assert 0.92 <= hits / 300 <= 0.99
