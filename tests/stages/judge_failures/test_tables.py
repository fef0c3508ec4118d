"""Claims, tables of directions, the summary and the blank form, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.judges.correction import Record
from stages.judge_failures.inputs import CORNER_CASE, POPULATION, claim_population
from stages.judge_failures.sheet import choose_shown, number_reviews, tabulate_review
from stages.judge_failures.summary import (
    read_record,
    summarize_failures,
    summarize_real,
    tabulate_directions,
    tell_failures,
)

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, NEITHER, RIGHT = "true failure", "label changed", "unreadable", "still right"
RECORD = Record(kept=160, changed=10, images=200)


def test_misclassified_samples_are_claimed_and_no_others():
    styles, images = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    claims = claim_population(styles, images, np.array([0, 1, 2, 0]), np.array([0, 2, 2, 1]))
    assert (list(claims.index), list(claims.true_class), claims.images.ravel().tolist()) == ([1, 3], [1, 0], [1, 3])
    np.testing.assert_array_equal(claims.styles, styles[[1, 3]])
    assert claims.walks.isna().all(axis=None)
    assert len(claims) == len(claims.walks) == 2


def test_directions_count_their_own_walks_and_give_shares_of_those_that_arrived():
    walks = {"dimension": [3, 3, 3, 1], "layer": "b4", "kind": "conv", "direction": [1, 1, -1, 1], "reached": True}
    walks |= {"name": ["wider", "larger", "", "noise +"]}
    failures = {"source": [POPULATION, *[CORNER_CASE] * 3], "index": [0, 0, 1, 2]}
    failures |= {"verdict": [CHANGED, TRUE, NEITHER, TRUE], "readable": [True, True, True, False]}
    table = tabulate_directions(pd.DataFrame(walks), pd.DataFrame(failures))
    assert table[["dimension", "direction"]].to_numpy().tolist() == [[1, 1], [3, -1], [3, 1]]
    assert table["walks"].tolist() == [1, 1, 2]
    assert table["name"].tolist() == ["noise +", "", "wider; larger"]
    assert table["reached"].tolist() == [0, 1, 2]
    assert table["true_failure_share"].tolist()[1:] == [1, 0.5]
    assert np.isnan(table["true_failure_share"][0])
    assert table["readable_true_failure_share"].tolist()[1:] == [0, 0.5]
    assert table["unreadable_true_failure_share"].tolist()[1:] == [1, 0]
    assert table["label_changed_share"].tolist()[1:] == [0, 0]
    # Wilson's interval of 1 of 2
    assert table["unreadable_share_low"][2] == pytest.approx(0.0945, abs=1e-4)
    assert table["unreadable_share_high"][2] == pytest.approx(0.9055, abs=1e-4)


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
            "readable": random.random(count) < 0.6,
            "auditor_agrees": random.random(count) < 0.9,
            "auditor_confirms": random.random(count) < 0.7,
            "far_out": random.random(count) < 0.2,
            "far_out_in_realism": random.random(count) < 0.1,
        }
    )


def test_without_true_failures_nothing_is_confirmed_and_nothing_breaks():
    failures = make_failures()
    summary = summarize_failures(failures, failures[:0], NAMES, RECORD, 1)
    assert summary["confirmed_true_failure_share"]["n"] == summary["agreed_true_failure_share"]["n"] == 0
    assert np.isnan(summary["confirmed_true_failure_share"]["value"])
    assert summary["confirmed_true_failure_point_meets_bar"] is None
    assert summary["confirmed_true_failure_verdict"] == "not decided"
    alarm = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    text = tell_failures(summary | {"judge_false_alarm_share": alarm})
    assert text.startswith("claimed failures: true 0.")
    assert "; of all claims, true and readable 0." in text
    assert "; true, corrected for the judge's mistakes 0." in text
    assert "; true failures of the search: confirmed by the auditor unknown, n=0; false alarms" in text


@pytest.mark.parametrize(
    ("confirmed", "of", "meets", "verdict"),
    [(60, 60, True, "holds"), (28, 30, True, "not decided"), (26, 30, False, "not decided"), (20, 30, False, "fails")],
)
def test_the_bar_on_confirmed_failures_is_decided_by_the_interval(confirmed, of, meets, verdict):
    failures = make_failures()
    found = failures.head(of).assign(auditor_confirms=np.arange(of) < confirmed)
    summary = summarize_failures(failures, found, NAMES, RECORD, 1)
    assert summary["agreed_true_failure_share"]["value"] == found["auditor_agrees"].mean()
    assert summary["confirmed_true_failure_point_meets_bar"] is meets
    assert summary["confirmed_true_failure_verdict"] == verdict


def test_readable_and_unreadable_make_up_the_true_failures_and_the_correction_has_the_same_base():
    failures = make_failures()
    summary = summarize_failures(failures, failures[:9], NAMES, RECORD, 1)
    for part, rows in {
        "all": failures,
        "population": failures[failures["source"] == POPULATION],
        "corner_cases": failures[failures["source"] == CORNER_CASE],
    }.items():
        shares = summary if part == "all" else summary[part]
        true = rows["verdict"] == TRUE
        assert shares["readable_true_failure_share"]["value"] == (true & rows["readable"]).mean()
        assert shares["unreadable_true_failure_share"]["value"] == (true & ~rows["readable"]).mean()
        assert shares["readable_true_failure_share"]["n"] == shares["true_failure_share_corrected"]["n"] == len(rows)
        wrong = rows["misclassified"].mean()
        expected = min((true.mean() - 0.05 * wrong) / 0.75, wrong)
        assert shares["true_failure_share_corrected"]["value"] == pytest.approx(expected)
    assert summary["true_failure_search"]["readable_share"]["value"] == failures[:9]["readable"].mean()
    assert summary == summarize_failures(failures, failures[:9], NAMES, RECORD, 1)
    cat = failures[failures["class"] == "cat"]
    readable = ((cat["verdict"] == TRUE) & cat["readable"]).mean()
    assert summary["per_class"]["cat"]["readable_true_failure_share"]["value"] == readable


def test_the_judges_record_is_counted_on_real_errors_and_far_ones_on_all():
    real = pd.DataFrame({"verdict": [TRUE, TRUE, CHANGED, NEITHER], "readable": [True, False, True, False]})
    assert read_record(real) == Record(2, 1, 4)
    wrong, far = np.array([True] * 4 + [False] * 16), np.array([True, False] * 2 + [False] * 15 + [True])
    summary = summarize_real(real, wrong, far)
    assert (summary["judge_sensitivity"]["value"], summary["judge_false_alarm_share"]["value"]) == (0.5, 0.25)
    assert (summary["real_far_out_share"]["value"], summary["real_images"]["far_out_share"]["value"]) == (0.15, 0.5)
    assert summary["real_images"]["unreadable_true_failure_share"]["value"] == 0.25


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
