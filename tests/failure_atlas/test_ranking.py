"""Scores of a population by gradients and by differences; agreement of halves, doubtful samples, figure 4."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.ranking import histograms as figures
from failure_atlas.ranking.doubt import draw_doubtful
from failure_atlas.ranking.scores import choose_score, count_passes, difference_population, score_population
from failure_atlas.statistics import agreement
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import StyleLayer
from stages.common.artefacts.ranking import tabulate_ranking
from tests.linear_pair import CLASSES, D, LinearPair, N
from tests.refusing import refused

LAYOUT = [StyleLayer("b4.conv1", "conv", 4, 0, 3), StyleLayer("b4.torgb", "torgb", 4, 3, 2)]


@pytest.fixture
def pair():
    return LinearPair()


def score(pair, batch_size, halves=None):
    return score_population(pair.world(batch_size), pair.styles, pair.true_class, halves)


def moments(values, true_class, classes):
    result = ClassMoments(classes, values.shape[1])
    result.add(values, true_class)
    return result


@pytest.mark.parametrize("batch_size", [1, 13, 10 * N])
def test_population_scores_equal_the_slow_twin_in_any_batch(pair, batch_size):
    pair.true_class = np.r_[np.zeros(N - 20, np.int64), np.ones(12, np.int64), np.full(8, 2, np.int64)]
    halves = agreement.draw_halves(pair.true_class, 4, np.random.default_rng(1))
    scores, exact = score(pair, batch_size, halves), pair.exact()["softmax"]
    parts = [exact[pair.true_class == index] for index in range(CLASSES)]
    found = scores.gradients
    np.testing.assert_allclose(found.mean, [part.mean(0) for part in parts], rtol=1e-9)
    errors = [part.std(0, ddof=1) / np.sqrt(len(part)) for part in parts]
    np.testing.assert_allclose(found.class_standard_error(), errors, rtol=1e-9)
    np.testing.assert_allclose(found.global_mean(), np.mean([part.mean(0) for part in parts], 0), rtol=1e-9)
    np.testing.assert_allclose(found.global_standard_error(), np.sqrt(np.square(errors).sum(0)) / CLASSES, rtol=1e-9)
    np.testing.assert_allclose(scores.gradient_mass, np.abs(exact).sum(1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores.gradient_squares, np.square(exact).sum(1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores.logits, pair.logits(), rtol=1e-6)
    for found_halves, members in zip(scores.halves.means(), (halves, ~halves), strict=True):
        for repeat, half in enumerate(members):
            slow = [exact[half & (pair.true_class == index)].mean(0) for index in range(CLASSES)]
            np.testing.assert_allclose(found_halves[repeat], slow, rtol=1e-9)


def test_classes_without_samples_do_not_count_and_the_mean_probability_falls_along_each_direction(pair):
    """A small move of the whole population against a score's sign lowers the mean true-class softmax."""
    pair.true_class = np.full(N, 1)
    found, exact = score(pair, N).gradients, pair.exact()["softmax"]
    np.testing.assert_allclose(found.global_mean(), exact.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.global_standard_error(), exact.std(0, ddof=1) / np.sqrt(N), rtol=1e-9)
    world = pair.world(N)
    before = world.show(pair.styles).score(pair.true_class).mean()
    for move in np.diag(-1e-5 * np.sign(found.global_mean())):
        assert world.show(pair.styles + move).score(pair.true_class).mean() < before


def test_a_population_that_does_not_fit_is_refused(pair):
    with pytest.raises(ValueError, match="60 styles, 59 classes"):
        score_population(pair.world(), pair.styles, pair.true_class[:-1])
    refused("0 styles", score_population, pair.world(), pair.styles[:0], pair.true_class[:0], error=ValueError)


def difference(pair, classify=None, samples=N, std=None, batch_size=16, step_std=0.25, seed=0):
    return difference_population(
        pair.world(batch_size, classify or pair.black_box), pair.styles.astype(np.float32), pair.true_class,
        pair.std if std is None else std, samples=samples, step_std=step_std, split_halves=3,
        draw=np.random.default_rng(seed), halve=np.random.default_rng(1)
    )  # fmt: skip


def test_a_black_box_is_scored_by_the_slow_twins_differences_and_ranked_as_by_gradients(pair):
    result, slopes, world = difference(pair), np.empty((N, D)), pair.world(N)
    for dimension in range(D):
        move = 0.25 * pair.std[dimension] * (np.arange(D) == dimension)
        up, down = (world.show(pair.styles + sign * move).score(pair.true_class) for sign in (1, -1))
        slopes[:, dimension] = (up - down) / (2 * move[dimension])
    expected = [slopes[pair.true_class == index].mean(axis=0) for index in range(CLASSES)]
    np.testing.assert_allclose(result.gradients.mean, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.gradient_mass, np.abs(slopes).sum(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.logits, pair.logits(), rtol=1e-4, atol=1e-4)
    one, other = (difference(pair, samples=30, batch_size=size) for size in (1, 64))
    np.testing.assert_allclose(one.gradients.mean, other.gradients.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.halves.means(), other.halves.means(), rtol=1e-4, atol=1e-6)
    exact, found = score(pair, N).gradients.global_mean(), difference(pair, step_std=0.01).gradients.global_mean()
    np.testing.assert_allclose(found, exact, rtol=0.02, atol=1e-4)
    assert agreement.correlate_ranks(found, exact) == 1


def test_a_dimension_that_does_not_vary_costs_nothing_and_scores_0(pair):
    asked = []

    def classify(images):
        asked.append(len(images))
        return pair.classify(images)

    std = np.where(np.arange(D) == 4, 0, pair.std)
    result = difference(pair, classify, samples=12, std=std)
    assert len(result.gradient_mass) == 12
    assert sum(asked) == count_passes(N, 12, std) == N + 12 * (2 * (D - 1) + 1)
    assert not result.gradients.mean[:, 4].any()
    assert result.gradients.mean[:, :4].all()


def test_scores_of_a_part_are_right_on_average(pair):
    whole = difference(pair, pair.classify).gradients.mean
    found = np.array([difference(pair, pair.classify, samples=15, seed=seed).gradients.mean for seed in range(50)])
    assert (np.abs(found.mean(axis=0) - whole) < 4.5 * found.std(axis=0, ddof=1) / np.sqrt(50)).all()
    assert found.std(axis=0).min() > 0


@given(st.integers(0, 10_000), st.integers(3, 90))
def test_the_draw_is_balanced_weighted_and_without_repeats(seed, count):
    random = np.random.default_rng(seed)
    true_class, probability = np.repeat([0, 1, 2], [10, 25, 30]), random.random(65) ** 3
    rows, weights = draw_doubtful(probability, true_class, count, random)
    assert (np.diff(rows) > 0).all()
    shares = [count // 3 + (place < count % 3) for place in range(3)]
    np.testing.assert_array_equal(np.bincount(true_class[rows], minlength=3), np.minimum(shares, [10, 25, 30]))
    assert ((weights > 0) & (weights <= 4 + 1e-9)).all()
    if count == 90:
        np.testing.assert_allclose(weights, 1)


def test_the_doubtful_are_drawn_more_often_and_means_and_their_errors_stay_honest():
    random = np.random.default_rng(1)
    doubtful = np.r_[np.full(90, 0.999), np.full(10, 0.5)]
    wide = random.random(2000) ** 0.2
    cases = {20: (doubtful, np.arange(100.0)), 30: (wide, wide * (1 - wide) * random.normal(1, 1, 2000))}
    for count, (probability, values) in cases.items():
        means, claimed, share = [], [], []
        for seed in range(400):
            rows, weights = draw_doubtful(probability, np.zeros(len(values), int), count, np.random.default_rng(seed))
            weighted = weights * values[rows]
            means.append(weighted.mean())
            claimed.append(weighted.std(ddof=1) / np.sqrt(count))
            share.append((probability[rows] == 0.5).mean())
        assert abs(np.mean(means) - values.mean()) < 4 * np.std(means) / 20
        if probability is doubtful:
            assert 0.4 < np.mean(share) <= 0.5
            continue
        assert np.mean(claimed) == pytest.approx(np.std(means), rel=0.15)
        plain = values.std() / np.sqrt(count)
        assert np.std(means) < 0.9 * plain, "doubt must be worth following, else a plain draw would do"
    _, alike = draw_doubtful(np.repeat([0.0, 1.0], 20), np.zeros(40, np.int64), 8, np.random.default_rng(0))
    np.testing.assert_allclose(alike, 1)  # where nothing is in doubt


def test_the_score_follows_the_classifier_unless_params_say_otherwise(pair, tmp_path):
    params, file = tmp_path / "params.yaml", tmp_path / "classifier.safetensors"
    assert choose_score("auto", pair.classify, params, file) == "gradient"
    assert choose_score("auto", pair.black_box, params, file) == "finite_difference"
    assert choose_score("finite_difference", pair.classify, params, file) == "finite_difference"
    told = r"\.score: got 'gradient', but .*classifier\.safetensors is a black box .*: 'auto', 'finite_difference'"
    refused(told, choose_score, "gradient", pair.black_box, params, file)


def halve(values, true_class, halvings=10, batch=10**6):
    members = agreement.draw_halves(true_class, halvings, np.random.default_rng(0))
    means = agreement.HalfMeans(members, true_class, int(true_class.max()) + 1, values.shape[1])
    for first in range(0, len(values), batch):
        means.add(values[first : first + batch], true_class[first : first + batch], first)
    return means, members


@pytest.mark.parametrize("batch", [1, 17, 1000])
def test_the_interval_of_the_agreement_is_that_of_the_slow_jackknife(batch):
    random = np.random.default_rng(2)
    values, true_class = random.normal(size=(90, 6)) + np.arange(6), random.permutation(np.arange(90) % 3)
    means, members = halve(values, true_class, batch=batch)
    found = means.estimate(agreement.correlate_ranks, -1.0)
    part = np.empty(90, int)
    part[np.argsort(true_class, kind="stable")] = np.arange(90) % 20

    def agree(kept):
        def average(half):
            return np.mean([values[half & kept & (true_class == index)].mean(0) for index in range(3)], 0)

        pairs = [(average(half), average(~half)) for half in members]
        return np.mean([agreement.correlate_ranks(*pair) for pair in pairs])

    parts = np.array([agree(part != place) for place in range(20)])
    half = stats.t.ppf(0.975, 19) * np.sqrt(19 / 20 * np.square(parts - parts.mean()).sum())
    value = agree(np.ones(90, bool))
    expected = {"value": value, "low": max(-1, value - half), "high": min(1, value + half), "n": 90}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("measure", "least"), [(agreement.share_top, 0.0), (agreement.correlate_ranks, -1.0)])
def test_the_interval_covers_the_agreement_expected_of_other_populations(measure, least):
    true_class, mean = np.arange(200) % 2, np.linspace(0, 0.6, 30)
    random, found = np.random.default_rng(3), []
    for _ in range(120):
        means, _ = halve(random.normal(mean, 1, (200, 30)), true_class)
        found.append(means.estimate(measure, least))
    value, low, high = np.array([[entry[key] for key in ("value", "low", "high")] for entry in found]).T
    assert 0.9 <= ((low <= value.mean()) & (value.mean() <= high)).mean() <= 1
    assert (high - low).mean() < 2.5 * 2 * 1.96 * value.std(), "an interval that is much too wide says little"


def test_halves_are_balanced_by_class_seeded_and_different():
    true_class = np.arange(50) % 5
    halves = agreement.draw_halves(true_class, 6, np.random.default_rng(3))
    assert halves.shape == (6, 50)
    for index in range(5):
        assert (halves[:, true_class == index].sum(axis=1) == 5).all()
    np.testing.assert_array_equal(halves, agreement.draw_halves(true_class, 6, np.random.default_rng(3)))
    assert len({half.tobytes() for half in halves}) == 6


def test_ranking_orders_by_size_breaks_ties_by_index_and_points_against_the_gradient():
    values = np.array([[0.0, -2, 2, 3, 0], [0.0, -2, 2, 3, 0]])
    table = tabulate_ranking(moments(values, np.zeros(2, np.int64), 1), np.arange(1.0, 6), LAYOUT, ["zero"])
    assert list(table["scope"]) == ["global"] * 5 + ["zero"] * 5
    expected = {
        "dimension": [3, 1, 2, 0, 4], "rank": [1, 2, 3, 4, 5], "direction": [-1, 1, -1, 0, 0], "std": [4, 2, 3, 1, 5],
        "layer": ["b4.torgb", "b4.conv1", "b4.conv1", "b4.conv1", "b4.torgb"],
        "kind": ["torgb", "conv", "conv", "conv", "torgb"], "standard_error": [0] * 5,
    }  # fmt: skip
    assert table[table["scope"] == "zero"][list(expected)].to_dict("list") == expected
    single = moments(np.ones((1, 2)), np.zeros(1, np.int64), 1)
    assert np.isnan(single.class_standard_error()).all()


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_moments_in_batches_equal_moments_at_once(seed, batch):
    random = np.random.default_rng(seed)
    values, true_class = random.normal(1e3, 1, (40, 3)), random.integers(0, 2, 40)
    parts = ClassMoments(2, 3)
    for first in range(0, 40, batch):
        parts.add(values[first : first + batch], true_class[first : first + batch])
    whole = moments(values, true_class, 2)
    np.testing.assert_array_equal(parts.count, whole.count)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(parts.squares, whole.squares, rtol=1e-9, atol=1e-9)


def test_agreement_of_known_rankings():
    first = np.array([[9.0, -8, 7, 1, 0]])
    second = np.array([[9.0, 8, 0, 1, 7]])
    assert agreement.share_top(first, second, top=2) == [1.0]
    assert agreement.share_top(first, second, top=3) == pytest.approx([2 / 3])
    assert agreement.share_direction(first, second, top=2) == [0.5]
    assert agreement.share_top(first, second, top=10) == [1.0]  # there are but five
    # Equal scores have an order, but no correlation.
    assert np.isnan(agreement.correlate_ranks(np.ones(4), np.arange(4.0)))
    np.testing.assert_array_equal(agreement.order_dimensions(np.zeros(4)), np.arange(4))


@given(st.integers(0, 10_000))
def test_rank_correlation_equals_scipy_with_ties(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(-4, 5, (2, 3, 12)).astype(float)
    for row, value in enumerate(agreement.correlate_ranks(a, b)):
        x, y = np.abs(a[row]), np.abs(b[row])
        if len(set(x)) > 1 and len(set(y)) > 1:
            assert value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_mass_of_the_top_tenth():
    assert (figures.share_top_tenth(np.ones(20)), figures.share_top_tenth(np.r_[np.zeros(19), 5])) == (
        pytest.approx(0.1),
        1,
    )
    assert np.isnan(figures.share_top_tenth(np.zeros(20)))
    mass = np.random.default_rng(0).exponential(size=500)
    low, high = (
        figures.bootstrap_mass(figures.share_top_tenth, mass, np.random.default_rng(1))[end] for end in ("low", "high")
    )
    assert low < 0.1 * (1 + np.log(10)) < high  # the exact share of an exponential


@given(st.integers(0, 10_000))
def test_ks_equals_scipy_with_ties(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 6, (15, 3)).astype(float), random.integers(0, 9, (8, 3)).astype(float)
    expected = [stats.ks_2samp(a[:, column], b[:, column], method="asymp").statistic for column in range(3)]
    np.testing.assert_allclose(figures.measure_ks(a, b), expected, atol=1e-12)


def test_equal_distributions_stay_below_the_null_bound_in_95_percent():
    assert np.isnan(figures.measure_ks(np.zeros((3, 2)), np.zeros((0, 2)))).all()
    assert np.isnan(figures.bound_null_ks(3, 0))
    random = np.random.default_rng(5)
    a, b = random.normal(size=(150, 400)), random.normal(size=(250, 400))
    assert 0.92 < (figures.measure_ks(a, b) < figures.bound_null_ks(150, 250)).mean() <= 0.99


def test_figure_4_shows_top_and_other_dimensions_and_counts_all_samples():
    random = np.random.default_rng(0)
    styles, well = random.normal(size=(200, 5)).astype(np.float32), random.random(200) < 0.8
    gradients = moments(random.normal(size=(20, 5)), np.zeros(20, np.int64), 1)
    table = tabulate_ranking(gradients, np.r_[1.0, 1, 0, 1, 1], LAYOUT, ["0"])
    shown = figures.choose_dimensions(table[table["scope"] == "global"], 2, np.random.default_rng(1))
    assert list(shown["group"]) == ["top", "top", "random", "random"]
    assert sorted(shown["dimension"]) == [0, 1, 3, 4]  # the other does not vary
    histograms = figures.tabulate_histograms({"raw": lambda chosen: styles[:, chosen]}, well, shown, bins=8)
    sums = histograms.groupby("dimension")[["well_share", "mis_share"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(histograms["n_well"]) == {int(well.sum())}


def test_the_effective_n_counts_samples_of_equal_weight():
    for squares, wanted in ((np.full(9, 3.0), 9), (np.eye(9)[0], 1), (np.repeat([2.0, 0], [4, 5]), 4), ([3.0, 1], 1.6)):
        assert figures.count_effective(np.asarray(squares)) == pytest.approx(wanted)
    assert np.isnan(figures.count_effective(np.zeros(3)))
