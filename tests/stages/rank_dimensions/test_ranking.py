"""Order, ties, agreement of halves, concentration and the separation of well from mis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.ranking.histograms import (
    bootstrap_share,
    bound_null_ks,
    choose_dimensions,
    measure_ks,
    share_top_tenth,
    tabulate_histograms,
)
from failure_atlas.statistics.agreement import (
    correlate_ranks,
    draw_halves,
    order_dimensions,
    share_direction,
    share_top,
)
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import StyleLayer
from stages.common.artefacts.ranking import tabulate_ranking

LAYOUT = [StyleLayer("b4.conv1", "conv", 4, 0, 3), StyleLayer("b4.torgb", "torgb", 4, 3, 2)]


def moments(values: np.ndarray, true_class: np.ndarray, classes: int) -> ClassMoments:
    result = ClassMoments(classes, values.shape[1])
    result.add(values, true_class)
    return result


def test_ranking_orders_by_size_breaks_ties_by_index_and_points_against_the_gradient():
    values = np.array([[0.0, -2, 2, 3, 0], [0.0, -2, 2, 3, 0]])
    std = np.arange(1.0, 6)
    table = tabulate_ranking(moments(values, np.zeros(2, np.int64), 1), std, LAYOUT, ["zero"])
    assert list(table["scope"]) == ["global"] * 5 + ["zero"] * 5
    block = table[table["scope"] == "zero"]
    assert list(block["dimension"]) == [3, 1, 2, 0, 4]
    assert list(block["rank"]) == [1, 2, 3, 4, 5]
    assert list(block["direction"]) == [-1, 1, -1, 0, 0]
    assert list(block["layer"]) == ["b4.torgb", "b4.conv1", "b4.conv1", "b4.conv1", "b4.torgb"]
    assert list(block["kind"]) == ["torgb", "conv", "conv", "conv", "torgb"]
    assert list(block["std"]) == [4, 2, 3, 1, 5]
    assert (block["standard_error"] == 0).all()


def test_one_sample_of_a_class_has_no_standard_error():
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


def test_halves_are_balanced_by_class_seeded_and_different():
    true_class = np.arange(50) % 5
    halves = draw_halves(true_class, 6, np.random.default_rng(3))
    assert halves.shape == (6, 50)
    for index in range(5):
        assert (halves[:, true_class == index].sum(axis=1) == 5).all()
    np.testing.assert_array_equal(halves, draw_halves(true_class, 6, np.random.default_rng(3)))
    assert len({half.tobytes() for half in halves}) == 6


def test_agreement_of_known_rankings():
    first = np.array([[9.0, -8, 7, 1, 0]])
    second = np.array([[9.0, 8, 0, 1, 7]])
    assert share_top(first, second, top=2) == [1.0]
    assert share_top(first, second, top=3) == pytest.approx([2 / 3])
    assert share_direction(first, second, top=2) == [0.5]
    assert share_top(first, second, top=10) == [1.0]  # there are but five


@given(st.integers(0, 10_000))
def test_rank_correlation_equals_scipy_with_ties(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(-4, 5, (2, 3, 12)).astype(float)
    for row, value in enumerate(correlate_ranks(a, b)):
        x, y = np.abs(a[row]), np.abs(b[row])
        if len(set(x)) > 1 and len(set(y)) > 1:
            assert value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_equal_scores_have_no_rank_correlation_but_an_order():
    assert np.isnan(correlate_ranks(np.ones(4), np.arange(4.0)))
    np.testing.assert_array_equal(order_dimensions(np.zeros(4)), np.arange(4))


def test_mass_of_the_top_tenth():
    assert share_top_tenth(np.ones(20)) == pytest.approx(0.1)
    assert share_top_tenth(np.r_[np.zeros(19), 5]) == 1
    assert np.isnan(share_top_tenth(np.zeros(20)))
    low, high = bootstrap_share(np.random.default_rng(0).exponential(size=500), np.random.default_rng(1))
    assert low < 0.1 * (1 + np.log(10)) < high  # the exact share of an exponential


@given(st.integers(0, 10_000))
def test_ks_equals_scipy_with_ties(seed):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 6, (15, 3)).astype(float), random.integers(0, 9, (8, 3)).astype(float)
    expected = [stats.ks_2samp(a[:, column], b[:, column], method="asymp").statistic for column in range(3)]
    np.testing.assert_allclose(measure_ks(a, b), expected, atol=1e-12)


def test_ks_of_an_empty_sample_is_unknown():
    assert np.isnan(measure_ks(np.zeros((3, 2)), np.zeros((0, 2)))).all()
    assert np.isnan(bound_null_ks(3, 0))


def test_equal_distributions_stay_below_the_null_bound_in_95_percent():
    random = np.random.default_rng(5)
    a, b = random.normal(size=(150, 400)), random.normal(size=(250, 400))
    assert 0.92 < (measure_ks(a, b) < bound_null_ks(150, 250)).mean() <= 0.99


def test_subtracting_class_means_leaves_none():
    random = np.random.default_rng(0)
    true_class = np.arange(30) % 3
    centred = subtract_class_means(random.normal(size=(30, 4)) + 10 * true_class[:, None], true_class)
    for index in range(3):
        np.testing.assert_allclose(centred[true_class == index].mean(axis=0), 0, atol=1e-12)


def test_figure_4_shows_top_and_other_dimensions_and_counts_all_samples():
    random = np.random.default_rng(0)
    styles, well = random.normal(size=(200, 5)).astype(np.float32), random.random(200) < 0.8
    table = tabulate_ranking(
        moments(random.normal(size=(20, 5)), np.zeros(20, np.int64), 1), np.r_[1.0, 1, 0, 1, 1], LAYOUT, ["0"]
    )
    shown = choose_dimensions(table[table["scope"] == "global"], 2, np.random.default_rng(1))
    assert [dimension.group for dimension in shown] == ["top", "top", "random", "random"]
    assert len({dimension.dimension for dimension in shown}) == 4
    assert 2 not in {dimension.dimension for dimension in shown}  # it does not vary
    histograms = tabulate_histograms({"raw": lambda chosen: styles[:, chosen]}, well, shown, bins=8)
    sums = histograms.groupby("dimension")[["well_share", "mis_share"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(histograms["n_well"]) == {int(well.sum())}
