"""Distances, verdict tables, the choice of what people are shown and agreement, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf

from failure_atlas.judges import remoteness
from failure_atlas.judges.failures import AUDITOR, draw_balanced, tabulate_opinions, tabulate_verdicts
from failure_atlas.judges.verdicts import measure_kappa
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, RIGHT = "true failure", "label changed", "still right"


@pytest.fixture
def population():
    random = np.random.default_rng(3)
    labels = np.arange(900) % 3
    mixing = np.array([[2.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    styles = random.standard_normal((900, 4)) @ mixing.T + labels[:, None] * np.array([5.0, 0.0, -2.0, 0.0]) + 1
    return styles.astype(np.float32), labels


def test_distances_equal_the_textbook_formula_and_follow_their_law(population):
    styles, labels = population
    spread = remoteness.fit_spread(styles, labels, 3, np.ones(4, bool))
    assert list(spread.used) == [True, True, True, False], "a dimension that does not vary is left out"
    scaled = styles[:, :3] / styles[:, :3].std(axis=0, ddof=1, dtype=float)
    means = [scaled[labels == label].mean(axis=0) for label in range(3)]
    covariance = LedoitWolf(assume_centered=True).fit(scaled - np.array(means)[labels]).covariance_
    measures = remoteness.measure_mahalanobis, remoteness.measure_std_distance
    distance, in_std = (measure(spread, styles, labels) for measure in measures)
    for row in (0, 1, 2, 500):
        away = scaled[row] - means[labels[row]]
        assert distance[row] == pytest.approx(np.sqrt(away @ np.linalg.inv(covariance) @ away), rel=1e-6)
        assert in_std[row] == pytest.approx(np.linalg.norm(away))
    assert stats.kstest(distance**2, stats.chi2(3).cdf).statistic < 0.06
    assert spread.shrinkage < 0.05


def test_useless_dimensions_do_not_count(population):
    styles, labels = population
    spread = remoteness.fit_spread(styles, labels, 3, np.array([True, False, True, True]))
    moved = styles.copy()
    moved[:, 1] += 100
    np.testing.assert_array_equal(*(remoteness.measure_mahalanobis(spread, each, labels) for each in (styles, moved)))
    with pytest.raises(ValueError, match="no style dimension"):
        remoteness.fit_spread(styles, labels, 3, np.array([False, False, False, True]))


def test_leaving_the_plane_of_the_population_is_far_however_short_the_way():
    random = np.random.default_rng(1)
    latent, labels = random.standard_normal((2000, 2)), np.arange(2000) % 2
    plane = random.standard_normal((2, 6))
    spread = remoteness.fit_spread((latent @ plane).astype(np.float32), labels, 2, np.ones(6, bool))
    inside = (np.array([[1.0, 0.0]]) @ plane).astype(np.float32)
    outside = inside + 0.5 * np.linalg.svd(plane)[2][-1].astype(np.float32)
    near, far = (remoteness.measure_mahalanobis(spread, point, np.array([0]))[0] for point in (inside, outside))
    assert near < 3
    assert far > 8


def test_percentiles_are_counts_within_the_class():
    reference, classes = np.array([1.0, 2, 3, 4, 10, 20]), np.array([0, 0, 0, 0, 1, 1])
    values, own = np.array([0.0, 1, 2.5, 4, 9, 15, 1]), np.array([0, 0, 0, 0, 1, 1, 2])
    percentiles = remoteness.find_percentiles(values, own, reference, classes)
    np.testing.assert_array_equal(percentiles, [0, 25, 50, 100, 0, 50, np.nan])  # no sample of the class, none
    random = np.random.default_rng(0)
    reference, values = random.normal(size=300), random.normal(size=20)
    percentiles = remoteness.find_percentiles(values, np.zeros(20, int), reference, np.zeros(300, int))
    twin = [stats.percentileofscore(reference, value, kind="weak") for value in values]
    np.testing.assert_allclose(percentiles, twin)


def test_far_out_means_farther_or_less_real_than_nearly_all_of_the_class():
    random = np.random.default_rng(2)
    styles, labels = random.standard_normal((400, 2)).astype(np.float32), np.repeat([0, 1], 200)
    spread = remoteness.fit_spread(styles, labels, 2, np.ones(2, bool))
    distance = remoteness.measure_mahalanobis(spread, styles, labels)
    yardstick = remoteness.Yardstick(spread, labels, distance, np.arange(400.0))
    styles, labels = np.array([[0, 0], [9, 9], [0, 0], [0, 0]], np.float32), np.array([0, 0, 0, 1])
    distance = remoteness.measure_mahalanobis(spread, styles, labels)
    table = yardstick.tabulate(styles, labels, distance, np.array([100.0, 100, 1.5, 100]), 95.0)
    assert table["far_out_in_s"].tolist() == [False, True, False, False]
    assert table["far_out_in_realism"].tolist() == [False, False, True, True]  # class 1 begins at 200
    assert table["far_out"].tolist() == [False, True, True, True]
    assert table["realism_percentile"].tolist() == [50.5, 50.5, 1, 0]
    assert table["mahalanobis_percentile"][1] == 100


def test_a_row_says_what_each_network_sees():
    said = {
        CLASSIFIER: [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]],
        JUDGE: [[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]],
        AUDITOR: [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]],
    }
    shown = Shown(np.zeros((3, 1, 1, 1), np.uint8), {name: np.log(values) for name, values in said.items()})
    table = tabulate_opinions(shown, np.zeros(3, int), NAMES, 0.8)
    expected = {
        "class": ["cat"] * 3,
        "predicted_class": ["dog", "cat", "owl"],
        "rival_class": ["dog", "dog", "owl"],
        "misclassified": [True, False, True],
        "judge_class": ["cat", "cat", "owl"],
        "reading": ["label kept", "label kept", CHANGED],
        "verdict": [TRUE, RIGHT, CHANGED],
        "auditor_class": ["cat", "owl", "owl"],
        "auditor_confirms": [True, False, False],
    }
    assert table[list(expected)].to_dict("list") == expected
    numbers = {
        "classifier_probability": [0.1, 0.5, 0.2],
        "judge_probability": [0.9, 0.9, 0.05],
        "judge_confidence": [0.9, 0.9, 0.9],
        "auditor_probability": [0.6, 0.2, 0.2],
    }
    np.testing.assert_allclose(table[list(numbers)], np.array(list(numbers.values())).T)


def test_verdict_shares_are_counted_per_source_and_class():
    rows = pd.DataFrame({"class": ["cat", "cat", "dog", "dog"], "verdict": [TRUE, CHANGED, TRUE, RIGHT]})
    table = tabulate_verdicts({"all": rows, "one": rows[:1], "none": rows[:0]}, NAMES)
    table = table.set_index(["source", "class", "verdict"])
    assert len(table) == 3 * 4 * 4
    assert table.loc[("all", "all", TRUE), ["value", "n"]].tolist() == [0.5, 4], "what is still right counts among all"
    assert table.loc[("all", "cat", CHANGED), ["value", "n"]].tolist() == [0.5, 2]
    assert table.loc[("one", "all", TRUE), ["value", "high"]].tolist() == [1, 1]
    assert table.loc[("none", "all", TRUE), "n"] == 0
    sums = table["value"].groupby(level=[0, 1]).sum(min_count=4)
    np.testing.assert_allclose(sums.dropna(), 1)


def test_a_balanced_draw_takes_alike_from_all_sources_as_far_as_they_reach():
    source = np.array(["a"] * 50 + ["b"] * 3 + ["c"] * 20)
    drawn = draw_balanced(source, 23, np.random.default_rng(0))
    assert len(set(drawn)) == len(drawn) == 23
    assert (np.diff(drawn) > 0).all()
    assert dict(zip(*np.unique(source[drawn], return_counts=True), strict=True)) == {"a": 10, "b": 3, "c": 10}
    assert len(draw_balanced(source, 100, np.random.default_rng(0))) == 73
    assert len(draw_balanced(source[:0], 5, np.random.default_rng(0))) == 0
    often = np.concatenate([draw_balanced(source, 3, np.random.default_rng(seed)) for seed in range(200)])
    assert len(set(often[often < 50])) > 40, "every sample of a source has its chance"


def test_kappa_equals_its_textbook_value():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed .7, by chance .5, kappa .4
    first, second = np.repeat(["y", "y", "n", "n"], [20, 5, 10, 15]), np.repeat(["y", "n", "y", "n"], [20, 5, 10, 15])
    kappa = measure_kappa(first, second, np.random.default_rng(0))
    assert (kappa["value"], kappa["n"]) == (pytest.approx(0.4), 50)
    # The asymptotic standard error is 0.127 (Cohen 1960: sqrt(.7 * .3 / (50 * .5^2))).
    assert kappa["low"] == pytest.approx(0.4 - 1.96 * 0.13, abs=0.06)
    assert kappa["high"] == pytest.approx(0.4 + 1.96 * 0.13, abs=0.06)
    words = np.array(["a", "b"] * 20)
    assert measure_kappa(words, words, np.random.default_rng(0))["value"] == 1
    assert np.isnan(measure_kappa(words[::2], words[::2], np.random.default_rng(0))["value"])
    assert np.isnan(measure_kappa(words[:0], words[:0], np.random.default_rng(0))["low"])
