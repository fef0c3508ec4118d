"""Claims, tables of directions, the summary and the blank form, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from stages.judge_failures.inputs import CORNER_CASE, POPULATION, claim_population
from stages.judge_failures.sheet import choose_shown, number_reviews, tabulate_review
from stages.judge_failures.summary import summarize_failures, tabulate_directions, tell_failures

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, NEITHER, RIGHT = "true failure", "label changed", "unreadable", "still right"


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
    failures |= {"verdict": [CHANGED, TRUE, NEITHER, TRUE]}
    table = tabulate_directions(pd.DataFrame(walks), pd.DataFrame(failures))
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


def test_without_true_failures_nothing_is_confirmed_and_nothing_breaks():
    failures = make_failures()
    summary = summarize_failures(failures, failures[:0], NAMES, 0.8)
    assert summary["confirmed_true_failure_share"]["n"] == summary["strictly_confirmed_true_failure_share"]["n"] == 0
    assert np.isnan(summary["confirmed_true_failure_share"]["value"])
    assert summary["confirmed_true_failure_point_meets_bar"] is None
    assert summary["confirmed_true_failure_verdict"] == "not decided"
    alarm = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    text = tell_failures(summary | {"judge_false_alarm_share": alarm})
    assert text.startswith("claimed failures: true 0.")
    assert "; true failures of the search: confirmed by the auditor unknown, n=0; false alarms" in text


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
