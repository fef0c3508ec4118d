"""Agreement with labels, the difference of two shares, and the ratio of two means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.quality.frechet import divide_means
from failure_atlas.statistics.estimates import proportion
from stages.qualify_generator.consistency import (
    measure_agreement,
    measure_agreement_per_class,
    subtract_proportions,
)


def share(successes, n):
    return proportion(np.arange(n) < successes)


def test_agreement_overall_and_per_class():
    predicted, labels = np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1])
    assert measure_agreement(predicted, labels)["value"] == 0.75
    classes = measure_agreement_per_class(predicted, labels, ["zero", "one", "two"])
    assert [classes[name]["value"] for name in ("zero", "one")] == [0.5, 1]
    assert classes["two"]["n"] == 0
    assert np.isnan(classes["two"]["value"])


def test_difference_reproduces_newcombes_published_examples():
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 and 10/10 - 0/10.
    gap = subtract_proportions(share(56, 70), share(48, 80))
    assert (gap["low"], gap["high"]) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    gap = subtract_proportions(share(10, 10), share(0, 10))
    assert (gap["low"], gap["high"]) == (pytest.approx(0.6075, abs=1e-4), pytest.approx(1, abs=1e-4))


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_difference_is_antisymmetric_and_inside_its_interval(a, n, b, m):
    first, second = share(min(a, n), n), share(min(b, m), m)
    gap, back = subtract_proportions(first, second), subtract_proportions(second, first)
    assert gap["low"] - 1e-9 <= gap["value"] <= gap["high"] + 1e-9
    assert (gap["value"], gap["low"]) == (pytest.approx(-back["value"]), pytest.approx(-back["high"]))
    assert gap["n"] == min(n, m)


def test_ratio_of_means():
    ratio = divide_means(np.array([4.0, 4.0]), np.array([2.0, 2.0, 2.0]))
    assert ratio == {"value": 2, "low": 2, "high": 2}
    ratio = divide_means(np.array([3.9, 4.1, 4.0]), np.array([1.9, 2.1, 2.0]))
    assert ratio["low"] < 2 < ratio["high"]
    assert ratio["low"] * ratio["high"] == pytest.approx(4)


def test_ratio_of_single_repeats_has_no_interval():
    ratio = divide_means(np.array([4.0]), np.array([2.0, 2.1]))
    assert ratio["value"] == pytest.approx(4 / 2.05)
    assert np.isnan(ratio["low"])
    assert np.isnan(divide_means(np.array([4.0, 4.0]), np.zeros(2))["value"])


def test_ratio_covers_the_truth_as_often_as_it_claims():
    stream = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        ratio = divide_means(stream.normal(3, 0.3, 8), stream.normal(2, 0.1, 4))
        hits += ratio["low"] <= 1.5 <= ratio["high"]
    assert hits / 400 == pytest.approx(0.95, abs=0.035)
