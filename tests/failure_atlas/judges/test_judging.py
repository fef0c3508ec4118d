"""Distances, verdict tables, the choice of what people are shown and agreement, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from failure_atlas.judges.failures import AUDITOR, draw_balanced, tabulate_opinions, tabulate_verdicts
from failure_atlas.judges.remoteness import Yardstick, find_percentiles, fit_surroundings
from failure_atlas.judges.verdicts import measure_kappa
from failure_atlas.world.show import CLASSIFIER, JUDGE, Shown

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, RIGHT = "true failure", "label changed", "still right"


def test_the_distance_to_real_images_is_that_of_all_pairs_sorted_and_no_image_is_its_own_neighbour():
    random = np.random.default_rng(3)
    real, others = random.standard_normal((40, 3)), random.standard_normal((7, 3)) * 3
    surroundings = fit_surroundings(real)
    between = np.linalg.norm(real[:, None] - real[None], axis=2)
    np.fill_diagonal(between, np.inf)
    np.testing.assert_allclose(surroundings.own, np.sort(between, axis=1)[:, 4])
    expected = np.sort(np.linalg.norm(others[:, None] - real[None], axis=2), axis=1)[:, 4]
    np.testing.assert_allclose(surroundings.measure(others), expected)
    assert surroundings.measure(others[:0]).shape == (0,)
    few = fit_surroundings(np.array([[0.0], [1.0], [3.0]]))
    assert (few.neighbour, few.own.tolist(), few.measure(np.array([[5.0]])).tolist()) == (2, [3, 2, 3], [4])
    with pytest.raises(ValueError, match=r"1 real image\(s\), which have no neighbours"):
        fit_surroundings(real[:1])


def test_a_copy_of_a_real_image_is_near_and_one_percent_of_the_real_ones_are_far():
    real = np.random.default_rng(1).standard_normal((1000, 2))
    surroundings = fit_surroundings(real)
    yardstick = Yardstick(surroundings, np.zeros(1, int), np.zeros(1), 99.0)
    assert yardstick.find_far(surroundings.own).sum() == 10
    assert yardstick.find_far(surroundings.measure(np.array([real[0], [9.0, 9.0]]))).tolist() == [False, True]


def test_percentiles_are_counts_within_the_class():
    reference, classes = np.array([1.0, 2, 3, 4, 10, 20]), np.array([0, 0, 0, 0, 1, 1])
    values, own = np.array([0.0, 1, 2.5, 4, 9, 15, 1]), np.array([0, 0, 0, 0, 1, 1, 2])
    percentiles = find_percentiles(values, own, reference, classes)
    np.testing.assert_array_equal(percentiles, [0, 25, 50, 100, 0, 50, np.nan])  # no sample of the class, none
    random = np.random.default_rng(0)
    reference, values = random.normal(size=300), random.normal(size=20)
    percentiles = find_percentiles(values, np.zeros(20, int), reference, np.zeros(300, int))
    twin = [stats.percentileofscore(reference, value, kind="weak") for value in values]
    np.testing.assert_allclose(percentiles, twin)


def test_far_from_real_images_and_less_real_than_the_class_are_told_apart():
    real = fit_surroundings(np.random.default_rng(2).standard_normal((200, 2)))
    yardstick = Yardstick(real, np.repeat([0, 1], 200), np.arange(400.0), 95.0)
    distance, labels = np.array([0.0, 1e3, 0.0, 0.0]), np.array([0, 0, 0, 1])
    table = yardstick.tabulate(distance, labels, np.array([100.0, 100, 1.5, 100]))
    assert table["far_out"].tolist() == [False, True, False, False]
    assert table["distance_to_real_percentile"].tolist() == [0, 100, 0, 0]
    assert table["far_out_in_realism"].tolist() == [False, False, True, True]  # class 1 begins at 200
    assert table["realism_percentile"].tolist() == [50.5, 50.5, 1, 0]


def test_a_row_says_what_each_network_sees():
    said = {
        CLASSIFIER: [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]],
        JUDGE: [[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]],
        AUDITOR: [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]],
    }
    shown = Shown(np.zeros((3, 1, 1, 1), np.uint8), {name: np.log(values) for name, values in said.items()})
    table = tabulate_opinions(shown, np.zeros(3, int), NAMES, 0.8, 0.7)
    expected = {
        "class": ["cat"] * 3,
        "predicted_class": ["dog", "cat", "owl"],
        "rival_class": ["dog", "dog", "owl"],
        "misclassified": [True, False, True],
        "judge_class": ["cat", "cat", "owl"],
        "reading": ["label kept", "label kept", CHANGED],
        "verdict": [TRUE, RIGHT, CHANGED],
        "auditor_class": ["cat", "owl", "owl"],
        "auditor_agrees": [True, False, False],
        "auditor_confirms": [False, False, False],
    }
    assert table[list(expected)].to_dict("list") == expected
    assert tabulate_opinions(shown, np.zeros(3, int), NAMES, 0.8, 0.59)["auditor_confirms"].tolist() == [
        True,
        False,
        False,
    ]
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
