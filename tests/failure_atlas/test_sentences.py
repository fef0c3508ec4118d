"""Three sentences on a classifier: what is measured is told, what is not is left out."""

import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.summary import NO_MODE, decide_own, read_modes, summarise, tell_percent, tell_std
from failure_atlas.statistics.estimates import NAN, Estimate
from tests.modes import write_modes

MODES = "modes.csv"
NEAR = {"median_distance_std": {"value": 2.5, "low": 2.0, "high": None, "n": 200}}
START = {"start_share": {"value": 0.3, "low": 0.2, "high": 0.4, "n": 200}}


@pytest.fixture
def text(tmp_path):
    write_modes(tmp_path)
    return (tmp_path / MODES).read_text()


def test_modes_come_in_order_of_importance_with_what_they_count(text):
    head, *rows = text.splitlines(keepends=True)
    first, second, third = read_modes("".join([head, *reversed(rows)]), MODES)
    assert [mode.counts["rank"] for mode in (first, second, third)] == [1, 2, 3]
    assert first.estimates["rate"].n == 190
    assert first.estimates["rate"].value == 0.62
    assert first.estimates["real_rate"].n == 66
    assert first.estimates["true_failure_share"].n == first.counts["failures"] == 118
    assert first.estimates["share"].n is None
    assert first.nearest_distance_std == 1.25
    assert first.tell() == (
        "reads 8 as 3 when noise is above 0.14: wrong on 62 % [55, 69] of 190 generated images, "
        "on 41 % [30, 52] of 66 real ones: corroborated"
    )
    assert second.tell().endswith("of 40 real ones: contradicted")
    assert third.tell().endswith("generated images, on no real one: too few to tell")
    assert third.texts["read_as"] == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate_low", "other", r"^modes.csv: lacks the columns rate_low, .*dvc repro find_modes$"),
        ("contradicted", "maybe", r"line 3: verdict 'maybe'; allowed: contradicted, too few, corroborated; make it"),
        (",190,", ",many,", "line 2: could not convert string to float: 'many'; make it again"),
    ],
)
def test_damaged_modes_are_named(text, old, new, message):
    with pytest.raises(StageError, match=message):
        read_modes(text.replace(old, new), MODES)


def test_what_is_not_measured_is_not_told(text):
    assert summarise("mine", None, {}, None).tell() == []
    assert summarise("mine", [], {}, None).tell() == [f"mine: on what: {NO_MODE}"]
    near = {"find_failures": NEAR | START}
    (far,) = summarise("mine", None, near, None).tell()
    assert far == (
        "mine: how far: 2.50 std [2.00, ?] to the nearest true failure, the median; "
        "one is found from 30 % [20, 40] of 200 generated images read rightly"
    )
    beyond = {"find_failures": {"median_distance_std": None} | START}
    assert summarise("mine", None, beyond, None).how_far == (
        "more often than not no true failure is found: one is found from 30 % [20, 40] of 200 generated images read "
        "rightly"
    )
    whole = summarise("mine", read_modes(text, MODES), near, [])
    assert whole.proof == [
        "of failures in mode 1 judge and auditor confirm 80 % [74, 86] of 118",
        "real images corroborate 1 of 3 modes, contradict 1, are too few for 1",
    ]
    assert whole.tell()[-1].endswith("; pass or not: no criterion (none of 0 criteria names it)")


def test_the_generators_distance_stands_beside_its_bar():
    metrics = {"qualify_generator": {"neutral_kid": 9.74, "neutral_kid_interval": {"low": 3.8, "high": 15.7, "n": 9}}}
    bar = {"metric": "qualify_generator: neutral_kid", "comparison": "<=", "bar": 20.0, "verdict": "pass"}
    told = "generated images lie 9.7 [3.8, 15.7] from real ones"
    assert summarise("mine", [], metrics, [bar]).proof == [f"{told} (bar: 20): pass"]
    assert summarise("mine", [], metrics, []).proof == [f"{told}, to a neutral network"]


def criterion(metric, verdict):
    return {"metric": metric, "verdict": verdict}


def test_a_classifier_answers_for_the_criteria_that_name_it():
    own = [
        criterion("find_failures/mine: x", "pass"),
        criterion("compute_curves: mine.area", "pass"),
        criterion("compute_curves: paired.mine_minus_other.area", "pass"),
    ]
    shared = [criterion("train_judges: judge.accuracy", "fail"), criterion("find_failures/mine2: mined", "fail")]
    assert decide_own([*own, *shared], "mine") == ("pass", "3 pass, 0 fail, 0 not assessable")
    assert decide_own([*own, *shared], "other") == ("no criterion", "none of 5 criteria names it")
    own[0] = criterion("find_failures/mine: x", "not assessable")
    assert decide_own(own, "mine") == ("not assessable", "2 pass, 0 fail, 1 not assessable")
    own[1] = criterion("compute_curves: mine.area", "fail")
    assert decide_own(own, "mine") == ("fail", "1 pass, 1 fail, 1 not assessable")


@pytest.mark.parametrize(
    ("estimate", "told"),
    [
        (Estimate(0.62, 0.55, 0.69, 1210), "62 % [55, 69] of 1,210"),
        (Estimate(0.0532, 0.041, 0.0671), "5.3 % [4.1, 6.7]"),
        (Estimate(0.0009, 0.0007, 0.0011), "0.09 % [0.07, 0.11]"),
        (Estimate(1.0, 0.98, 1.0, 40), "100 % [98, 100] of 40"),
        (Estimate(0.5), "50 %"),
        (Estimate(0.3, NAN, 0.5), "30 % [?, 50]"),
        (Estimate(NAN, NAN, NAN, 0), "? % of 0"),
    ],
)
def test_shares_are_told_in_per_cent(estimate, told):
    assert tell_percent(estimate) == told


def test_distances_are_told_in_std():
    assert tell_std(Estimate(2.543, 2.18, NAN, 200)) == "2.54 std [2.18, ?]"
