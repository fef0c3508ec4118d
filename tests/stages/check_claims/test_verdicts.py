"""Verdicts follow from intervals; differences have the interval that they claim."""

import numpy as np
import pytest
from failure_atlas.decisions.estimates import (
    FAILS,
    HOLDS,
    NOT_DECIDED,
    Estimate,
    combine,
    estimate_share,
    falls,
    is_above,
    is_below,
    negate,
    subtract,
    widen,
)

from failure_atlas.statistics.estimates import proportion, wilson

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.6, 0.7, HOLDS, FAILS),
        (0.3, 0.4, FAILS, HOLDS),
        (0.4, 0.6, NOT_DECIDED, NOT_DECIDED),
        (0.5, 0.5, NOT_DECIDED, NOT_DECIDED),
        (NAN, NAN, NOT_DECIDED, NOT_DECIDED),
    ],
)
def test_one_side_of_the_bar_decides(low, high, above, below):
    estimate = Estimate((low + high) / 2, low, high, 9)
    assert is_above(estimate, 0.5) == above
    assert is_below(estimate, 0.5) == below


@pytest.mark.parametrize(
    ("p_value", "rises", "verdict"),
    [
        (0.01, 0, HOLDS), (0.01, 1, FAILS), (0.2, 0, NOT_DECIDED), (0.99, 0, FAILS), (NAN, 0, NOT_DECIDED),
        (0.05, 0, NOT_DECIDED), (0.95, 0, NOT_DECIDED),
    ],
)  # fmt: skip
def test_a_curve_falls_by_trend_and_without_a_rise(p_value, rises, verdict):
    assert falls(p_value, rises, 0.05) == verdict


def test_verdicts_on_parts_make_one():
    assert combine([HOLDS, HOLDS]) == HOLDS
    assert combine([HOLDS, NOT_DECIDED]) == NOT_DECIDED
    assert combine([NOT_DECIDED, FAILS, HOLDS]) == FAILS
    assert combine([]) == NOT_DECIDED
    assert [negate(verdict) for verdict in (HOLDS, FAILS, NOT_DECIDED)] == [FAILS, HOLDS, NOT_DECIDED]


def test_difference_of_two_proportions_is_newcombes():
    # Newcombe (1998), table II, example (a): 56/70 against 48/80, method 10.
    first, second = (proportion(np.arange(n) < hits) for hits, n in ((56, 70), (48, 80)))
    difference = subtract(Estimate(**first), Estimate(**second))
    assert difference.value == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.0524, abs=5e-5)
    assert difference.high == pytest.approx(0.3339, abs=5e-5)
    assert difference.n == 70


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 80), (80, 80), (56, 70), (1, 10_000), (5000, 10_000)])
def test_a_share_has_the_interval_that_the_stages_give_it(hits, n):
    share = estimate_share(hits, n)
    assert (share.low, share.high) == pytest.approx(tuple(map(float, wilson(np.array(hits), np.array(n)))), rel=1e-12)
    assert np.isnan(estimate_share(0, 0).value)


def test_difference_of_symmetric_intervals_adds_variances():
    difference = subtract(Estimate(5, 2, 8, None), Estimate(1, -3, 5, 4))
    assert (difference.value, difference.low, difference.high, difference.n) == (4, -1, 9, 4)
    assert np.isnan(subtract(Estimate(5), Estimate(1, 0, 2)).low)


def test_margin_stays_in_the_unit_range():
    assert widen(0.02, 0.05, 9) == Estimate(0.02, 0, pytest.approx(0.07), 9)
    assert is_above(widen(NAN, 0.05, 9), 0) == NOT_DECIDED
