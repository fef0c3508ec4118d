"""Shares without the judge's mistakes: the closed form, what cannot be told, and simulated coverage."""

import math

import numpy as np
import pytest

from failure_atlas.judges.correction import Record, correct_share


def test_the_value_is_that_of_rogan_and_gladen():
    # 300 claims, all wrong; S .8, F .1; .38 called true: (.38 - .1) / .7 = .4
    found = correct_share(114, 300, 300, Record(160, 20, 200), np.random.default_rng(1))
    assert found.value == pytest.approx(0.4)
    assert found.low < 0.35 < 0.45 < found.high
    assert found.n == 300
    # A third of the claims are still right: neither true failures nor chances for a false alarm.
    found = correct_share(76, 200, 300, Record(160, 20, 200), np.random.default_rng(1))
    assert found.value == pytest.approx(0.4 * 2 / 3)
    assert found == correct_share(76, 200, 300, Record(160, 20, 200), np.random.default_rng(1))


def test_a_perfect_judge_changes_nothing_and_the_ends_hold():
    found = correct_share(60, 200, 200, Record(5000, 0, 5000), np.random.default_rng(1))
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.24, 0.37), abs=0.015)
    assert correct_share(0, 200, 400, Record(160, 20, 200), np.random.default_rng(1)).value == 0
    most = correct_share(195, 200, 400, Record(160, 20, 200), np.random.default_rng(1))
    assert most.value == 0.5, "no more than the classifier gets wrong"


@pytest.mark.parametrize("record", [Record(6, 8, 40), Record(0, 0, 0), Record(3, 1, 5)])
def test_a_judge_that_tells_nothing_leaves_everything_open(record):
    found = correct_share(85, 391, 453, record, np.random.default_rng(1))
    assert math.isnan(found.value)
    assert (found.low, found.high, found.n) == (0, 1, 453)
    assert correct_share(0, 0, 0, record, np.random.default_rng(1)).n == 0


@pytest.mark.parametrize(
    ("share", "sensitivity", "alarms", "real"), [(0.5, 0.77, 0.05, 158), (0.1, 0.6, 0.2, 80), (0.9, 0.5, 0.1, 40)]
)
def test_the_interval_covers_the_truth_as_often_as_it_says(share, sensitivity, alarms, real):
    random, claims, still_right, covered, told = np.random.default_rng(7), 400, 0.1, 0, 0
    true = share * (1 - still_right)
    called = true * sensitivity + (1 - still_right - true) * alarms
    for _ in range(300):
        kept, changed, _ = random.multinomial(real, [sensitivity, alarms, 1 - sensitivity - alarms])
        said, otherwise, _ = random.multinomial(claims, [called, 1 - still_right - called, still_right])
        found = correct_share(said, said + otherwise, claims, Record(kept, changed, real), random)
        covered += found.low <= true <= found.high
        told += not math.isnan(found.value)
    assert covered / 300 >= 0.92, "95 %, but for 2.4 standard errors of 300"
    assert told > 250, "else it covers by telling nothing"
