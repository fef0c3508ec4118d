"""Claims, tables of directions, the summary and the blank form, on inputs whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.judges.correction import Record
from failure_atlas.statistics.estimates import wilson
from stages.common.artefacts.population import Samples
from stages.judge_failures import summary as tables
from stages.judge_failures.inputs import CORNER_CASE, POPULATION, claim_population
from stages.judge_failures.sheet import choose_shown, number_reviews, tabulate_review

NAMES = ["cat", "dog", "owl"]
TRUE, CHANGED, NEITHER, RIGHT = "true failure", "label changed", "unreadable", "still right"
RECORD = Record(kept=160, changed=10, images=200)


def test_misclassified_samples_are_claimed_and_no_others():
    styles, images = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    samples = Samples(styles, np.array([0, 1, 2, 0]), NAMES, np.array([5, 6, 7, 8]), np.zeros((1, 3), np.int64))
    claims = claim_population(samples, images, np.array([0, 2, 2, 1]))
    assert (list(claims.index), list(claims.true_class), claims.images.ravel().tolist()) == ([1, 3], [1, 0], [1, 3])
    np.testing.assert_array_equal(claims.styles, styles[[1, 3]])
    assert claims.noise.tolist() == [6, 8]
    assert claims.walks.isna().all(axis=None)
    assert len(claims) == len(claims.walks) == 2


def test_directions_count_their_own_walks_and_give_shares_of_those_that_arrived():
    walks = {"dimension": [3, 3, 3, 1], "layer": "b4", "kind": "conv", "direction": [1, 1, -1, 1], "reached": True}
    walks |= {"name": ["wider", "larger", "", "noise +"]}
    failures = {"source": [POPULATION, *[CORNER_CASE] * 3], "index": [0, 0, 1, 2]}
    failures |= {"verdict": [CHANGED, TRUE, NEITHER, TRUE], "readable": [True, True, True, False]}
    failures |= {"noise_draw": [pd.NA, 0, 0, 0]}
    table = tables.tabulate_directions(pd.DataFrame(walks), pd.DataFrame(failures))
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
            "noise_draw": pd.array(np.where(np.arange(count) < 270, pd.NA, np.arange(count) % 2), "Int64"),
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
            "noise_survival": random.random(count),
            "true_failure_noise_survival": random.random(count),
        }
    )


def test_without_true_failures_nothing_is_confirmed_and_nothing_breaks():
    failures = make_failures()
    summary = tables.summarize_failures(failures, failures[:0], NAMES, RECORD, 1)
    assert summary["confirmed_true_failure_share"]["n"] == summary["agreed_true_failure_share"]["n"] == 0
    assert np.isnan(summary["confirmed_true_failure_share"]["value"])
    assert summary["confirmed_true_failure_point_meets_bar"] is None
    assert summary["confirmed_true_failure_verdict"] == "not decided"
    alarm = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    text = tables.tell_failures(summary | {"judge_false_alarm_share": alarm})
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
    summary = tables.summarize_failures(failures, found, NAMES, RECORD, 1)
    assert summary["agreed_true_failure_share"]["value"] == found["auditor_agrees"].mean()
    assert summary["confirmed_true_failure_point_meets_bar"] is meets
    assert summary["confirmed_true_failure_verdict"] == verdict


def split_draws(rows):
    """The rows under each draw of noise; those without one are under each."""
    draws = rows["noise_draw"].dropna().unique().tolist() or [0]
    return [rows[rows["noise_draw"].fillna(draw) == draw] for draw in draws]


def test_draws_of_one_start_are_one_case_not_several():
    failures = make_failures()
    found = failures.head(60).assign(auditor_confirms=True, noise_draw=pd.array([0, 1] * 30, "Int64"))
    first = found[found["noise_draw"] == 0]
    once, twice = (tables.summarize_failures(failures, part, NAMES, RECORD, 1) for part in (first, found))
    for key in ("confirmed_true_failure_share", "confirmed_true_failure_verdict"):
        assert twice[key] == once[key]
    assert (twice["confirmed_true_failure_share"]["n"], twice["confirmed_true_failure_verdict"]) == (30, "not decided")
    assert twice["true_failure_search"]["found"] == 60
    walks = {"dimension": 3, "layer": "b4", "kind": "conv", "direction": 1, "reached": True, "name": ""}
    own = failures[failures["source"] == CORNER_CASE].assign(index=range(30))
    table = tables.tabulate_directions(pd.DataFrame([walks] * 30), own)
    shares = [(each["verdict"] == TRUE).mean() for each in split_draws(own)]
    assert shares[0] != shares[1], "else this tests nothing"
    assert table["true_failure_share"][0] == pytest.approx(np.mean(shares))
    ends = np.mean([wilson(np.array(share * 15), np.array(15)) for share in shares], axis=0)
    np.testing.assert_allclose(table.loc[0, ["true_failure_share_low", "true_failure_share_high"]].astype(float), ends)
    # A class that has no walks under one draw is told of all draws: there its samples stand alone.
    cat = (failures["class"] == "cat") & (failures["noise_draw"] != 1).fillna(value=True)
    lacking = failures[cat | (failures["class"] != "cat")]
    shares = tables.summarize_failures(lacking, found, NAMES, RECORD, 1)["per_class"]["cat"]["true_failure_share"]
    alone = failures[cat & failures["noise_draw"].isna()]
    expected = [(each["verdict"] == TRUE).mean() for each in (failures[cat], alone)]
    assert (shares["value"], shares["n"]) == (pytest.approx(np.mean(expected)), round((cat.sum() + len(alone)) / 2))


def test_readable_and_unreadable_make_up_the_true_failures_and_the_correction_has_the_same_base():
    failures = make_failures()
    summary = tables.summarize_failures(failures, failures[:9], NAMES, RECORD, 1)
    for part, rows in {
        "all": failures,
        "population": failures[failures["source"] == POPULATION],
        "corner_cases": failures[failures["source"] == CORNER_CASE],
    }.items():
        shares = summary if part == "all" else summary[part]
        told = []
        for each in split_draws(rows):
            true, wrong = each["verdict"] == TRUE, each["misclassified"].mean()
            told.append({
                "readable_true_failure_share": (true & each["readable"]).mean(),
                "unreadable_true_failure_share": (true & ~each["readable"]).mean(),
                "true_failure_share_corrected": min((true.mean() - 0.05 * wrong) / 0.75, wrong),
                "noise_survival": each["noise_survival"][each["misclassified"]].mean(),
                "true_failure_noise_survival": each["true_failure_noise_survival"][true].mean(),
            })  # fmt: skip
        for name, value in pd.DataFrame(told).mean().items():
            assert shares[name]["value"] == pytest.approx(value), name
        assert shares["claimed_failures"] == len(rows)
        n = round(np.mean([len(each) for each in split_draws(rows)]))
        assert shares["readable_true_failure_share"]["n"] == shares["true_failure_share_corrected"]["n"] == n
    assert summary["true_failure_search"]["readable_share"]["value"] == failures[:9]["readable"].mean()
    assert summary == tables.summarize_failures(failures, failures[:9], NAMES, RECORD, 1)
    cat = failures[failures["class"] == "cat"]
    readable = np.mean([((each["verdict"] == TRUE) & each["readable"]).mean() for each in split_draws(cat)])
    assert summary["per_class"]["cat"]["readable_true_failure_share"]["value"] == pytest.approx(readable)


def test_the_judges_record_is_counted_on_real_errors_and_far_ones_on_all():
    real = pd.DataFrame({"verdict": [TRUE, TRUE, CHANGED, NEITHER], "readable": [True, False, True, False]})
    assert tables.read_record(real) == Record(2, 1, 4)
    wrong, far = np.array([True] * 4 + [False] * 16), np.array([True, False] * 2 + [False] * 15 + [True])
    summary = tables.summarize_real(real, wrong, far)
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
