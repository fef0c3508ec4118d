"""What the half that was not searched says, and what use weighs, against closed forms and SciPy's tests."""

import warnings
from functools import partial

import numpy as np
import pytest
from scipy.stats import fisher_exact
from scipy.stats.contingency import relative_risk

from failure_atlas.modes.estimate import (
    count_effective,
    estimate_lift,
    estimate_risk,
    judge_modes,
    rake,
    select_distinct,
    share_weighted,
    test_excess,
)
from failure_atlas.statistics.estimates import Estimate, estimate_share, wilson

find_excess = test_excess
del test_excess  # it is no test


def rows(n, *ranges):
    """bool [n], true in these ranges."""
    held = np.zeros(n, bool)
    for first, last in ranges:
        held[first:last] = True
    return held


def test_excess_is_fishers_test_of_what_a_mode_adds():
    random = np.random.default_rng(1)
    members, wrong = random.random((6, 300)) < 0.3, random.random(300) < 0.2
    wrong |= members[1] & (random.random(300) < 0.4)
    members[5] = members[:5].any(axis=0)
    left = np.ones(300, bool)
    for member, p_value in zip(members, find_excess(members, wrong), strict=True):
        table = [[np.sum(left & member & wrong), np.sum(left & member & ~wrong)]]
        table += [[np.sum(left & ~member & wrong), np.sum(left & ~member & ~wrong)]]
        assert p_value == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
        left &= ~member
    assert p_value == 1, "the last adds nothing"


def test_of_what_fails_each_part_is_reported_once():
    wrong = rows(1000, (0, 100), (200, 240))
    strong, repeated, partly = rows(1000, (0, 100)), rows(1000, (0, 90)), rows(1000, (40, 100), (200, 240))
    harmless, behind = rows(1000, (500, 700)), rows(1000, (210, 240), (600, 650))
    members = np.array([strong, repeated, harmless, partly])
    assert select_distinct(members, wrong, 0.05).tolist() == [0]
    assert select_distinct(members, wrong, 0.05, new_share=0.4).tolist() == [0, 3]
    dropped_hides_none = np.array([strong, harmless, behind])
    assert select_distinct(dropped_hides_none, wrong, 0.05).tolist() == [0, 2]
    assert select_distinct(np.empty((0, 1000), bool), wrong, 0.05).tolist() == []


def test_a_weak_mode_is_reported_alone_but_not_as_the_best_of_many():
    wrong, weak = rows(200, (0, 3), (100, 109)), rows(200, (0, 13))
    assert 0.01 < find_excess(weak[None], wrong)[0] < 0.05
    assert select_distinct(weak[None], wrong, 0.05).tolist() == [0]
    others = [rows(200, (start, start + 5)) for start in range(150, 190, 5)]
    assert select_distinct(np.array([weak, *others]), wrong, 0.05).tolist() == []


def test_equal_weights_change_nothing_and_unequal_ones_count_as_fewer_cases():
    share, plain = share_weighted(rows(40, (0, 9)), np.full(40, 7.0)), estimate_share(9, 40)
    assert (share.value, share.low, share.high, share.n) == pytest.approx((plain.value, plain.low, plain.high, 40))
    weights = np.array([3.0, 1.0, 1.0, 1.0])
    assert count_effective(weights) == 36 / 12
    share = share_weighted(rows(4, (0, 2)), weights)
    assert (share.value, share.n) == (4 / 6, 3)
    assert (share.low, share.high) == pytest.approx(tuple(map(float, wilson(np.array(2.0), np.array(3.0)))))
    assert count_effective(np.zeros(3)) == 0
    assert share_weighted(rows(3), np.zeros(3)).n == 0
    assert np.isnan(share_weighted(rows(3), np.zeros(3)).value)


def test_lifts_have_katz_intervals():
    lift = estimate_lift(estimate_share(30, 100), estimate_share(10, 200))
    expected = relative_risk(30, 100, 10, 200)
    assert (lift.value, lift.n) == (pytest.approx(6), 100)
    assert (lift.low, lift.high) == pytest.approx(tuple(expected.confidence_interval()))
    none = estimate_lift(estimate_share(5, 20), estimate_share(0, 50))
    assert none.value == pytest.approx(27.097561)  # 5.5 / 20.5 over 0.5 / 50.5
    half = 1.959964 * np.sqrt(1 / 5.5 - 1 / 20.5 + 1 / 0.5 - 1 / 50.5)
    assert (none.low, none.high) == pytest.approx((none.value * np.exp(-half), none.value * np.exp(half)))
    assert np.isnan(estimate_lift(estimate_share(0, 0), estimate_share(1, 2)).value)


def judge(*counts, generated=0.5, fdr=0.05):
    """counts: images and failures inside each mode, of 400 more of which 20 fail."""
    n = 400 + sum(inside for inside, _ in counts)
    wrong, members, first = rows(n, (0, 20)), [], 400
    for inside, failed in counts:
        members.append(rows(n, (first, first + inside)))
        wrong[first : first + failed] = True
        first += inside
    rest = ~np.array(members) & (np.arange(n) < 400)
    return judge_modes([Estimate(generated)] * len(counts), np.array(members), rest, wrong, fdr)


def test_a_mode_is_held_against_what_is_around_it_and_against_nothing_else():
    wrong, member = rows(600, (0, 20), (300, 400)), rows(600, (300, 350))
    of = partial(judge_modes, [Estimate(0.5)], member[None], wrong=wrong, fdr=0.05)
    assert of(around=~member[None])[0] == ["corroborated"]
    (said,), (difference,) = of(around=rows(600, (350, 400))[None])  # the rest of another mode fails as often
    assert (said, difference.value) == ("contradicted", 0)
    assert of(around=rows(600)[None])[0] == ["too few"], "nothing is around it"


def test_real_images_contradict_by_what_was_claimed_and_confirm_by_how_many_were_asked():
    for inside, failed, verdict in ((40, 20, "corroborated"), (200, 2, "contradicted"), (3, 0, "too few")):
        (said,), (difference,) = judge((inside, failed))
        assert (said, difference.value) == (verdict, pytest.approx(failed / inside - 0.05))
    assert [judge((100, 6), generated=each)[0] for each in (0.5, 0.1)] == [["contradicted"], ["too few"]]
    assert judge((0, 0))[0] == ["too few"]
    assert judge((10, 3))[0] == ["corroborated"]
    assert judge((10, 3), *[(10, 0)] * 9)[0][0] == "too few", "one of ten"
    assert judge_modes([], *[np.empty((0, 5), bool)] * 2, rows(5), 0.05) == ([], [])


def test_raking_hits_every_share_and_keeps_what_it_was_not_asked_about():
    random = np.random.default_rng(1)
    first = random.random(1000) < 0.3
    second = random.random(1000) < np.where(first, 0.6, 0.2)
    weights = rake([first, second], [0.1, 0.7])
    assert weights.mean() == pytest.approx(1)
    assert (weights[first].sum() / 1000, weights[second].sum() / 1000) == pytest.approx((0.1, 0.7), abs=1e-5)
    cells = [[weights[(first == a) & (second == b)] for b in (False, True)] for a in (False, True)]
    assert all(np.ptp(cell) == pytest.approx(0) for row in cells for cell in row)
    held, weighed = ([[size(cell) for cell in row] for row in cells] for size in (len, np.sum))
    odds = [(each[0][0] * each[1][1]) / (each[0][1] * each[1][0]) for each in (held, weighed)]
    assert odds[0] == pytest.approx(odds[1]), "of all weights that do it the nearest to equal ones"


def test_shares_that_hold_already_leave_weights_equal_and_one_has_a_closed_form():
    hold = rows(10, (0, 2))
    np.testing.assert_allclose(rake([hold], [0.2]), 1)
    np.testing.assert_allclose(rake([hold], [0.6]), [3.0] * 2 + [0.5] * 8)


@pytest.mark.parametrize(
    ("holds", "shares", "wrong"),
    [
        ([rows(9, (0, 3)), rows(9, (0, 9))], [0.2, 0.5], {1}),
        ([rows(9), rows(9, (0, 3))], [0.2, 0.5], {0}),
        ([rows(9, (0, 3)), rows(9, (0, 2))], [0.2, 0.5], {0, 1}),  # the second is part of the first
        ([rows(9, (0, 5)), rows(9, (5, 9))], [0.2, 0.5], {0, 1}),  # one of the two holds always
    ],
)
def test_shares_that_cannot_be_are_named_by_their_index(holds, shares, wrong):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"^\d$") as caught:
            rake(holds, shares)
    assert caught.value.args[0] in wrong


def test_a_risk_is_a_mean_with_its_standard_error():
    cost = np.repeat([5.0, 0.0], [20, 80])
    half = 1.96 * 5 * np.sqrt(0.2 * 0.8 / 99)
    assert estimate_risk(cost, np.ones(100)) == pytest.approx((1.0, 1 - half, 1 + half))
    assert estimate_risk(cost, np.repeat([2.0, 0.75], [20, 80]))[0] == pytest.approx(2)
    assert estimate_risk(np.repeat([1.0, 0.0], [1, 99]), np.ones(100))[1] == 0
