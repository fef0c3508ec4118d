"""Verdicts follow from intervals, sample counts and the generator's gate."""

import math

import pytest

from failure_atlas.decisions.acceptance import FAIL, NOT_ASSESSABLE, PASS, Criterion, count_verdicts, decide, decide_all
from failure_atlas.decisions.metrics import find_estimate
from failure_atlas.statistics.estimates import Estimate

NAN = float("nan")


def build_criterion(name="it", **changes):
    return Criterion(**{
        "id": name, "metric": "a: b", "comparison": ">=", "bar": 0.9, "reason": "because", "supports": "a clause",
        **changes,
    })  # fmt: skip


def build_estimate(low, high, n=100):
    return Estimate((low + high) / 2, low, high, n)


@pytest.mark.parametrize(
    ("found", "verdict", "because"),
    [
        (Estimate(0.95, 0.9, 0.96, 100), PASS, "the whole interval is >= 0.9"),
        (Estimate(0.8, 0.7, 0.89, 100), FAIL, "none of the interval is >= 0.9"),
        (Estimate(0.9, 0.8, 0.95, 100), NOT_ASSESSABLE, "the interval straddles the bar of 0.9"),
        (Estimate(0.9, has_interval=False), PASS, "the number is >= 0.9"),
        (Estimate(0.8, has_interval=False), FAIL, "the number is not >= 0.9"),
    ],
)
def test_a_criterion_passes_fails_or_cannot_be_assessed_and_says_why(found, verdict, because):
    decided = decide(build_criterion(), found)
    assert (decided.verdict, decided.because) == (verdict, because)


def test_what_was_not_measured_or_rests_on_too_little_is_not_assessable():
    assert decide(build_criterion(), Estimate(NAN)).because.startswith("not measured")
    good = build_estimate(0.95, 0.99, n=29)
    assert decide(build_criterion(min_samples=29), good).verdict == PASS
    few = decide(build_criterion(min_samples=30), good)
    assert (few.verdict, few.because) == (NOT_ASSESSABLE, "rests on 29 samples, at least 30 are asked for")
    unknown = decide(build_criterion(min_samples=30), Estimate(0.99, has_interval=False))
    assert (unknown.verdict, unknown.because) == (
        NOT_ASSESSABLE, "states no sample count, at least 30 are asked for"
    )  # fmt: skip
    bad = build_estimate(0.1, 0.2, n=29)
    assert decide(build_criterion(min_samples=30), bad).verdict == NOT_ASSESSABLE, "too few to fail it, too"


@pytest.mark.parametrize(
    ("gate", "verdict", "passed"),
    [((0.95, 0.99), PASS, True), ((0.5, 0.6), NOT_ASSESSABLE, False), ((0.5, 0.99), NOT_ASSESSABLE, False)],
)
def test_a_gate_must_pass_for_what_depends_on_it(gate, verdict, passed):
    criteria = [
        build_criterion("leans"),
        build_criterion("real", needs_generator=False),
        build_criterion("wide", gate="generator"),
        build_criterion("good", gate="generator"),
    ]
    fine = build_estimate(0.95, 0.99)
    verdicts = decide_all(criteria, {"leans": fine, "real": fine, "wide": build_estimate(*gate), "good": fine})
    by_id = {each.criterion.id: each for each in verdicts}
    assert list(by_id) == ["leans", "real", "wide", "good"]
    assert by_id["leans"].verdict == verdict
    assert by_id["real"].verdict == by_id["good"].verdict == PASS
    if not passed:
        assert by_id["leans"].because == "the generator did not pass: wide"
    assert count_verdicts(verdicts)["generator_passed"] is passed
    assert count_verdicts(verdicts[:2])["generator_passed"] is None, "no gate was asked for"


METRICS = {
    "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 50},
    "shift": 9.5,
    "shift_interval": {"low": 9, "high": None, "n": 60},
    "walks": 100,
    "group": {"value": 3, "shares": {"2": {"value": None, "low": None, "high": None, "n": 0}}},
    "name": "text",
    "flag": True,
}


@pytest.mark.parametrize(
    ("key", "value", "low", "high", "n", "has_interval"),
    [
        ("accuracy", 0.9, 0.8, 0.95, 50, True),
        ("accuracy.low", 0.8, NAN, NAN, 50, False),
        ("accuracy.value", 0.9, NAN, NAN, 50, False),
        ("shift", 9.5, 9, NAN, 60, True),
        ("shift.low", 9, NAN, NAN, 60, False),
        ("shift.high", NAN, NAN, NAN, 60, False),
        ("walks", 100, NAN, NAN, None, False),
        ("group.value", 3, NAN, NAN, None, False),
        ("group.shares.2", NAN, NAN, NAN, 0, True),
    ],
)
def test_both_forms_of_interval_and_their_parts_are_found(key, value, low, high, n, has_interval):
    found = find_estimate(METRICS, key)
    for got, expected in ((found.value, value), (found.low, low), (found.high, high)):
        assert got == expected or (math.isnan(got) and math.isnan(expected))
    assert (found.n, found.has_interval) == (n, has_interval)


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("acuracy", KeyError, "accuracy, flag, group"),
        ("group.share.2", KeyError, "shares, value"),
        ("group.shares.3", KeyError, "2"),
        ("walks.low", KeyError, "accuracy"),
        ("walks.deeper.low", KeyError, "accuracy"),
        ("name", TypeError, "str"),
        ("flag", TypeError, "bool"),
        ("group.shares", TypeError, "dict"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(key, error, text):
    with pytest.raises(error, match=text):
        find_estimate(METRICS, key)
