"""Verdict tables, far-out flags and the choice of what people are shown, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from stages.judge_failures.claims import CORNER_CASE, POPULATION, Claims, claim_population, no_walks
from stages.judge_failures.opinions import ask_about_images, ask_about_styles
from stages.judge_failures.remoteness import Yardstick, tabulate_remoteness
from stages.judge_failures.sheet import choose_shown, draw_balanced, number_reviews, tabulate_review
from stages.judge_failures.style_distance import fit_spread, measure_mahalanobis
from stages.judge_failures.summary import share_confirmed, summarize_failures, tell_failures
from stages.judge_failures.table import tabulate_claims, tabulate_directions, tabulate_verdicts

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, NEITHER, RIGHT = "true failure", "label changed", "unreadable", "still right"


def claim(source, true_class, styles=None):
    count = len(true_class)
    styles = np.zeros((count, 2), np.float32) if styles is None else styles
    walks = no_walks(count)
    return Claims(source, np.arange(count), styles, np.zeros((count, 1, 4, 4), np.uint8), np.array(true_class), walks)


def test_misclassified_samples_are_claimed_and_no_others():
    styles, images = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    claims = claim_population(styles, images, np.array([0, 1, 2, 0]), np.array([0, 2, 2, 1]))
    assert list(claims.index) == [1, 3]
    np.testing.assert_array_equal(claims.styles, styles[[1, 3]])
    assert claims.images.ravel().tolist() == [1, 3]
    assert list(claims.true_class) == [1, 0]
    assert claims.walks.isna().all(axis=None)
    assert len(claims) == len(claims.walks) == 2


def test_networks_are_asked_about_the_image_of_each_style():
    """G(s) = s as an image of two pixels, C(x) = (x1, x2, 0): the softmax is known."""
    styles = np.array([[0.0, 2.0], [1.0, 0.0], [0.5, 0.5]], np.float32)

    def classify(images):
        return torch.cat([images[:, 0, 0], torch.zeros(len(images), 1)], dim=1)

    said = ask_about_styles(
        {"plain": classify, "sure": lambda images: 100 * classify(images)},
        lambda s: s[:, None, None],
        styles,
        classes=3,
        batch_size=2,
        device=torch.device("cpu"),
    )
    odds = np.exp(np.c_[styles, np.zeros(3)])
    np.testing.assert_allclose(said["plain"], odds / odds.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(said["sure"][:2], [[0, 1, 0], [1, 0, 0]], atol=1e-12)
    none = ask_about_styles(
        {"plain": classify}, torch.nn.Identity(), styles[:0], classes=3, batch_size=2, device=torch.device("cpu")
    )
    assert none["plain"].shape == (0, 3)


def test_networks_see_stored_images_in_unit_range():
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    said = ask_about_images(
        {"c": lambda x: torch.cat([x[:, 0, 0], 0 * x[:, 0, 0]], dim=1)},
        images,
        classes=2,
        batch_size=2,
        device=torch.device("cpu"),
    )
    np.testing.assert_allclose(said["c"][:, 0], 1 / (1 + np.exp(-np.array([0, 0.2, 1]))), rtol=1e-6)


def test_a_row_says_what_each_network_sees():
    said = {
        "classifier": np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]),
        "judge": np.array([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.05, 0.05, 0.9]]),
        "auditor": np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]]),
    }
    table = tabulate_claims(claim(POPULATION, [0, 0, 0]), said, NAMES, 0.8)
    assert list(table["class"]) == ["cat"] * 3
    assert list(table["predicted_class"]) == ["dog", "cat", "owl"]
    assert list(table["rival_class"]) == ["dog", "dog", "owl"]
    assert list(table["misclassified"]) == [True, False, True]
    assert list(table["classifier_probability"]) == [0.1, 0.5, 0.2]
    assert list(table["judge_class"]) == ["cat", "cat", "owl"]
    assert list(table["judge_probability"]) == [0.9, 0.9, 0.05]
    assert list(table["judge_confidence"]) == [0.9, 0.9, 0.9]
    assert list(table["reading"]) == ["label kept", "label kept", CHANGED]
    assert list(table["verdict"]) == [TRUE, RIGHT, CHANGED]
    assert list(table["auditor_class"]) == ["cat", "owl", "owl"]
    assert list(table["auditor_confirms"]) == [True, False, False]
    assert said["classifier"][0, 0] == 0.1, "the opinions are left as they were"


def test_verdict_shares_are_counted_per_source_and_class():
    rows = pd.DataFrame({"class": ["cat", "cat", "dog", "dog"], "verdict": [TRUE, CHANGED, TRUE, RIGHT]})
    table = tabulate_verdicts({"all": rows, "one": rows[:1], "none": rows[:0]}, NAMES).set_index(
        ["source", "class", "verdict"]
    )
    assert len(table) == 3 * 4 * 4
    assert table.loc[("all", "all", TRUE), ["value", "n"]].tolist() == [0.5, 4], "what is still right counts among all"
    assert table.loc[("all", "cat", CHANGED), ["value", "n"]].tolist() == [0.5, 2]
    assert table.loc[("one", "all", TRUE), ["value", "high"]].tolist() == [1, 1]
    assert table.loc[("none", "all", TRUE), "n"] == 0
    assert np.isnan(table.loc[("none", "all", TRUE), "value"])
    sums = table["value"].groupby(level=[0, 1]).sum(min_count=4)
    np.testing.assert_allclose(sums.dropna(), 1)


def test_directions_count_their_own_walks_and_give_shares_of_those_that_arrived():
    walks = pd.DataFrame(
        {
            "dimension": [3, 3, 3, 1],
            "layer": "b4",
            "kind": "conv",
            "direction": [1, 1, -1, 1],
            "reached": True,
            "name": ["wider", "larger", "", "noise +"],
        }
    )
    failures = pd.DataFrame(
        {
            "source": [POPULATION, CORNER_CASE, CORNER_CASE, CORNER_CASE],
            "index": [0, 0, 1, 2],
            "verdict": [CHANGED, TRUE, NEITHER, TRUE],
        }
    )
    table = tabulate_directions(walks, failures)
    assert table[["dimension", "direction"]].to_numpy().tolist() == [[1, 1], [3, -1], [3, 1]]
    assert table["walks"].tolist() == [1, 1, 2]
    assert table["name"].tolist() == ["noise +", "", "wider; larger"]
    assert table["reached"].tolist() == [0, 1, 2]
    assert table["true_failure_share"].tolist()[1:] == [1, 0.5]
    assert np.isnan(table["true_failure_share"][0])
    assert table["label_changed_share"].tolist()[1:] == [0, 0]
    # Wilson's interval of 1 of 2
    assert table["unreadable_share_low"][2] == pytest.approx(0.0945, abs=1e-4)
    assert table["unreadable_share_high"][2] == pytest.approx(0.9055, abs=1e-4)


def test_far_out_means_farther_or_less_real_than_nearly_all_of_the_class():
    random = np.random.default_rng(2)
    styles, labels = random.standard_normal((400, 2)).astype(np.float32), np.repeat([0, 1], 200)
    spread = fit_spread(styles, labels, 2, np.ones(2, bool))
    yardstick = Yardstick(spread, labels, measure_mahalanobis(spread, styles, labels), np.arange(400.0))
    claims = claim(POPULATION, [0, 0, 0, 1], np.array([[0, 0], [9, 9], [0, 0], [0, 0]], np.float32))
    distance = measure_mahalanobis(spread, claims.styles, claims.true_class)
    table = tabulate_remoteness(yardstick, claims, distance, np.array([100.0, 100, 1.5, 100]), 95.0)
    assert table["far_out_in_s"].tolist() == [False, True, False, False]
    assert table["far_out_in_realism"].tolist() == [False, False, True, True]  # class 1 begins at 200
    assert table["far_out"].tolist() == [False, True, True, True]
    assert table["realism_percentile"].tolist() == [50.5, 50.5, 1, 0]
    assert table["mahalanobis_percentile"][1] == 100


def make_failures():
    random = np.random.default_rng(0)
    count = 300
    verdict = random.choice([TRUE, CHANGED, NEITHER, RIGHT], count, p=[0.5, 0.3, 0.1, 0.1])
    return pd.DataFrame(
        {
            "source": np.where(np.arange(count) < 270, POPULATION, CORNER_CASE),
            "index": np.arange(count),
            "class": random.choice(NAMES, count),
            "predicted_class": random.choice(NAMES, count),
            "verdict": verdict,
            "misclassified": verdict != RIGHT,
            "reading": np.where(np.isin(verdict, [TRUE, RIGHT]), "label kept", verdict),
            "auditor_confirms": random.random(count) < 0.7,
            "auditor_probability": random.random(count),
            "far_out_in_s": random.random(count) < 0.2,
            "far_out_in_realism": random.random(count) < 0.1,
        }
    ).assign(far_out=lambda table: table["far_out_in_s"] | table["far_out_in_realism"])


def test_the_summary_is_a_recount_of_the_table():
    failures = make_failures()
    found = failures[failures["verdict"] == TRUE].head(20)
    summary = summarize_failures(failures, found, NAMES, 0.8)
    true = failures["verdict"] == TRUE
    assert summary["claimed_failures"] == 300
    assert summary["true_failure_share"]["value"] == pytest.approx(true.mean())
    assert summary["true_failure_share"]["n"] == 300
    assert summary["population"]["true_failure_share"]["value"] == pytest.approx(true[:270].mean())
    assert summary["corner_cases"]["claimed_failures"] == 30
    near = ~failures["far_out"]
    assert summary["true_failure_share_not_far_out"]["value"] == pytest.approx(true[near].mean())
    assert summary["confirmed_true_failure_share"]["value"] == found["auditor_confirms"].mean()
    assert summary["strictly_confirmed_true_failure_share"]["value"] == (found["auditor_probability"] >= 0.8).mean()
    own = true & (failures["source"] == POPULATION)
    assert summary["population"]["confirmed_true_failure_share"]["value"] == pytest.approx(
        failures["auditor_confirms"][own].mean()
    )
    assert summary["confirmed_true_failure_point_meets_bar"] is False
    kept = failures["verdict"].isin([TRUE, RIGHT])
    assert summary["label_kept_share"]["value"] == pytest.approx(kept.mean())
    assert summary["still_right_share"]["value"] == pytest.approx((failures["verdict"] == RIGHT).mean())
    assert 0 < summary["still_right_share"]["value"] < 0.5
    assert summary["true_failure_search"]["found"] == 20
    shares = summary["per_class"]["owl"]
    assert sum(share["value"] for share in shares.values()) == pytest.approx(1)
    assert shares["true_failure_share"]["n"] == (failures["class"] == "owl").sum()


def test_without_true_failures_nothing_is_confirmed_and_nothing_breaks():
    failures = make_failures()
    summary = summarize_failures(failures, failures[:0], NAMES, 0.8)
    assert summary["confirmed_true_failure_share"]["n"] == 0
    assert np.isnan(summary["confirmed_true_failure_share"]["value"])
    assert summary["confirmed_true_failure_point_meets_bar"] is None
    assert summary["confirmed_true_failure_verdict"] == "not decided"
    alarm = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    text = tell_failures(summary | {"judge_false_alarm_share": alarm})
    assert "found 0 true failures, none for the auditor to confirm" in text
    assert "unknown" in text
    assert share_confirmed(failures[:0], 0.8)["strictly_confirmed_true_failure_share"]["n"] == 0


@pytest.mark.parametrize(
    ("confirmed", "of", "meets", "verdict"),
    [(60, 60, True, "holds"), (28, 30, True, "not decided"), (26, 30, False, "not decided"), (20, 30, False, "fails")],
)
def test_the_bar_on_confirmed_failures_is_decided_by_the_interval(confirmed, of, meets, verdict):
    failures = make_failures()
    found = failures.head(of).assign(auditor_confirms=np.arange(of) < confirmed)
    summary = summarize_failures(failures, found, NAMES, 0.8)
    assert summary["confirmed_true_failure_point_meets_bar"] is meets
    assert summary["confirmed_true_failure_verdict"] == verdict


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


def test_the_form_names_each_shown_image_once_and_hides_the_verdict():
    failures = make_failures()
    shown = choose_shown(failures, 25, np.random.default_rng(1))
    assert all((failures["verdict"].iloc[rows] == verdict).all() for verdict, rows in shown.items())
    assert [len(rows) for rows in shown.values()][:2] == [25, 25]
    numbers = number_reviews(len(failures), shown, np.random.default_rng(2))
    count = sum(map(len, shown.values()))
    assert sorted(numbers[numbers > 0]) == list(range(1, count + 1))
    form = tabulate_review(failures.assign(review_id=numbers))
    assert list(form["id"]) == list(range(1, count + 1))
    assert form[["sheet_row", "sheet_column"]].to_numpy().tolist()[10] == [2, 1]
    assert list(form.columns) == ["id", "sheet_row", "sheet_column", "sheet", "reviewer_class"], "nothing gives it away"
    assert (form["reviewer_class"] == "").all()
    rows = np.argsort(numbers, kind="stable")[-count:]
    verdicts = failures["verdict"].iloc[rows].to_numpy()
    assert len(set(verdicts[:10])) > 1, "the order mixes the verdicts"
