"""The search: its score, its thresholds, what it finds of planted spots, and that it finds nothing in noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bernoulli

from failure_atlas.modes.mode import Mode, cover
from failure_atlas.modes.search import Samples, find_modes, score_scan, search_modes

SETTINGS = {"most": 6, "least_share": 0.009, "most_share": 0.5, "decimals": np.full(5, 3)}


@st.composite
def counts(draw):
    total = draw(st.integers(2, 40))
    inside = draw(st.integers(1, total - 1))
    return inside, draw(st.integers(0, inside)), total, draw(st.integers(0, total - inside))


@given(counts())
def test_the_score_is_the_gain_in_log_likelihood_summed_case_by_case(drawn):
    inside, failures, total, missed = drawn
    wrong = np.concatenate([np.arange(inside) < failures, np.arange(total - inside) < missed])
    rates = np.repeat([failures / inside, missed / (total - inside)], [inside, total - inside])
    expected = bernoulli.logpmf(wrong, rates).sum() - bernoulli.logpmf(wrong, wrong.mean()).sum()
    if failures / inside <= missed / (total - inside):
        expected = 0
    score = score_scan(np.array(inside), np.array(failures), total, failures + missed)
    assert score == pytest.approx(expected, abs=1e-9)


def test_all_or_nothing_has_no_score():
    assert score_scan(np.array([0, 10]), np.array([0, 4]), 10, 4).tolist() == [0, 0]


def draw_data(seed, n=3000, columns=5, classes=10):
    random = np.random.default_rng(seed)
    return random.random((n, columns)), random.integers(0, classes, n), random


def plant(random, *spots, rate=0.9, elsewhere=0.03):
    return random.random(len(spots[0])) < np.where(np.any(spots, axis=0), rate, elsewhere)


def overlap(first, second):
    return np.sum(first & second) / np.sum(first | second)


@pytest.mark.parametrize("bounds", [{0: (0.3, None)}, {0: (None, 0.3)}, {0: (0.2, 0.9), 1: (None, 0.8)}])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_place_of_any_bound_scores_better(bounds, seed):
    values, labels, random = draw_data(seed, n=120, columns=2)
    values = np.round(values, 2)  # with ties
    wrong = plant(random, (values[:, 0] > 0.4) & (values[:, 0] <= 0.8) & (values[:, 1] <= 0.6), rate=0.7)
    samples = Samples(values, labels, wrong, least=10, most=90)
    found = samples.refine(Mode(None, bounds))
    assert found.bounds.keys() == bounds.keys()
    for attribute, pair in found.bounds.items():
        for side in (0, 1):
            if pair[side] is None:
                continue
            for place in np.arange(-0.005, 1.01, 0.01):
                other = found.change(attribute, (place, pair[1]) if side == 0 else (pair[0], place))
                if 10 <= other.covers(values, labels).sum() <= 90:
                    assert samples.score(other) <= samples.score(found) + 1e-9
    assert samples.score(found) > samples.score(Mode(None, bounds))


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_rectangle_is_found_and_nothing_is_said_beside_it(seed):
    values, labels, random = draw_data(seed, n=6000)
    spot = (labels == 3) & (values[:, 0] > 0.5) & (values[:, 1] <= 0.4)
    half = random.random(6000) < 0.5
    (mode,), _ = find_modes(values, labels, plant(random, spot), half, fdr=0.05, **SETTINGS)
    assert (mode.label, mode.conditions) == (3, 3)
    assert mode.bounds[0][1] is mode.bounds[1][0] is None
    assert overlap(mode.covers(values, labels), spot) > 0.9


def test_what_is_not_worth_its_price_is_not_said():
    values, labels, random = draw_data(0)
    samples = Samples(values, labels, plant(random, values[:, 0] > 0.9), least=27, most=1500)
    pruned = samples.prune(samples.refine(Mode(None, {0: (0.8, None), 1: (0.3, None), 4: (None, 0.9)})))
    assert pruned.bounds.keys() == {0}
    assert samples.worth(pruned) == pytest.approx(samples.score(pruned) - np.log(3000 * 5))


@pytest.mark.parametrize("rate", [0.02, 0.2])
def test_in_pure_noise_nothing_is_found(rate):
    for seed in range(8):
        values, labels, random = draw_data(seed, n=1000)
        wrong, half = random.random(1000) < rate, np.arange(1000) < 500
        assert find_modes(values, labels, wrong, half, fdr=0.05, **SETTINGS)[0] == []


def test_what_the_other_half_does_not_bear_out_is_dropped():
    values, labels, random = draw_data(0)
    half = np.arange(3000) < 1500
    wrong = plant(random, (values[:, 0] > 0.8) & ~half)
    assert len(search_modes(values[~half], labels[~half], wrong[~half], **SETTINGS)) == 1
    assert find_modes(values, labels, wrong, half, fdr=0.05, **SETTINGS) == ([], 1)


@pytest.mark.parametrize(("bound", "decimals"), [(0.5, 1), (0.52, 2), (0.5234, 2), (0.4951, 1)])
def test_bounds_have_as_few_decimals_as_cost_at_most_a_tenth(bound, decimals):
    steps = np.arange(0, 1, 0.0002)
    samples = Samples(steps[:, None], np.zeros(5000, int), steps > bound, least=20, most=4900)
    mode = Mode(None, {0: (bound, None)})
    rounded, shorter = samples.round(mode, np.array([1])), mode.round(np.array([decimals - 1]))
    assert rounded == mode.round(np.array([decimals]))
    assert samples.score(rounded) >= 0.9 * samples.score(mode)
    assert decimals == 1 or samples.score(shorter) < 0.9 * samples.score(mode)
    settings = SETTINGS | {"decimals": np.array([1]), "most_share": 0.9}
    found, *_ = search_modes(samples.values, samples.true_class, samples.wrong, **settings)
    assert found == found.round(np.array([decimals]))
    assert abs(found.bounds[0][0] - round(bound, decimals)) < 0.0007


@pytest.mark.parametrize(("limits", "least", "most"), [({"most_share": 0.2}, 0, 0.2), ({"least_share": 0.1}, 0.1, 0.5)])
def test_no_mode_is_larger_or_smaller_than_is_allowed(limits, least, most):
    values, labels, random = draw_data(0)
    spot = values[:, 0] > (0.6 if most < 0.4 else 0.95)
    wrong = plant(random, spot)
    settings = SETTINGS | {"decimals": np.full(5, 9)}  # rounding would move a bound past the limit
    (free,) = search_modes(values, labels, wrong, **settings)
    assert overlap(free.covers(values, labels), spot) > 0.9
    first = cover(search_modes(values, labels, wrong, **(settings | limits)), values, labels)[0]
    assert least <= first.mean() <= most


def test_two_spots_give_two_modes_and_none_is_said_twice():
    values, labels, random = draw_data(0)
    spots = [(labels == 1) & (values[:, 0] > 0.4), (labels != 1) & (values[:, 1] <= 0.1)]
    members = cover(search_modes(values, labels, plant(random, *spots), **SETTINGS), values, labels)
    assert len(members) == 2
    assert all(max(overlap(member, spot) for member in members) > 0.85 for spot in spots)
    assert len(search_modes(values, labels, plant(random, *spots), **(SETTINGS | {"most": 1}))) == 1


def test_images_that_show_nothing_are_of_no_mode_and_move_none():
    values, labels, random = draw_data(0, n=2000)
    wrong = plant(random, values[:, 0] > 0.9)
    hidden = np.arange(2000) < 50
    values[hidden, 0], values[hidden, 1], wrong[hidden] = 0.88, np.nan, True  # else the bound were below
    modes = search_modes(values, labels, wrong, **SETTINGS)
    assert modes == search_modes(values[50:], labels[50:], wrong[50:], **SETTINGS) != []
    assert modes == search_modes(np.where(hidden[:, None], np.nan, values), labels, wrong, **SETTINGS)


@pytest.mark.parametrize("seed", range(3))
def test_modes_do_not_depend_on_the_order_of_the_samples(seed):
    values, labels, random = draw_data(seed)
    spots = [(labels == 1) & (values[:, 0] > 0.4), values[:, 1] <= 0.1]
    data = values, labels, plant(random, *spots, rate=0.6), random.random(3000) < 0.5
    order = random.permutation(3000)
    found = find_modes(*data, fdr=0.05, **SETTINGS)
    assert len(found[0]) >= 2
    assert found == find_modes(*(each[order] for each in data), fdr=0.05, **SETTINGS)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_or_none_fail_there_is_no_mode(share):
    values, labels, _ = draw_data(0, n=200)
    assert search_modes(values, labels, np.full(200, bool(share)), **SETTINGS) == []
