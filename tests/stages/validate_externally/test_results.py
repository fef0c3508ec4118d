"""The table of correlations and the verdict."""

import numpy as np
import pytest

from stages.validate_externally.measures import MEASURES
from stages.validate_externally.results import find_correlation, summarize_correlations, tabulate_correlations


def correlate(real_of, replicates=300):
    """Ten classifiers in the order of all measures but the avoidable area (falls) and the shift area (swings)."""
    generated, real = {}, {}
    for place in range(10):
        swing = place + 4 * (place % 2)
        values = {"population accuracy": place, "shift area": swing, "distance area": place, "avoidable area": -place}
        generated[str(place)] = {name: {"value": value / 10} for name, value in values.items()}
        real[str(place)] = {name: {"value": real_of(place)} for name in ("clean", "all corruptions")}
    spread = np.random.default_rng(2).normal(0, 0.01, (replicates, 4, 10))
    measured = np.array([[generated[str(k)][name]["value"] for k in range(10)] for name in MEASURES]) + spread
    seen = np.array([[real_of(k) for k in range(10)]] * 2)
    seen = np.broadcast_to(seen, (replicates, 2, 10))
    return tabulate_correlations(generated, real, measured, seen, np.random.default_rng(1))


def test_rows_and_columns():
    table = correlate(lambda place: place**2)
    assert len(table) == 2 * 4 * 2
    assert set(table["n"]) == {10}
    row = find_correlation(table, "spearman", "avoidable area", "clean")
    assert row["value"] == pytest.approx(-1)
    assert row["low"] == pytest.approx(-1)
    assert row["small_sample_high"] > -1
    assert row["sample_low"] <= row["sample_high"] <= -0.9


def test_each_measure_has_its_own_verdict():
    verdicts = summarize_correlations(correlate(lambda place: place), 0.9)["verdicts"]
    assert verdicts == {
        "distance area": "holds",
        "shift area": "not decided",
        "avoidable area": "fails",
        "population accuracy": "holds",
    }


@pytest.mark.parametrize(
    ("real_of", "verdict"),
    [
        (lambda place: place**2, "holds"),
        (lambda place: -place, "fails"),
        (lambda place: place + 4 * (place % 2), "not decided"),
    ],
)
def test_verdict_of_the_bar(real_of, verdict):
    metrics = summarize_correlations(correlate(real_of), 0.9)
    assert metrics["verdict"] == verdict
    assert set(metrics["external_validity"]) == {"value", "low", "high", "n"}
    assert metrics["spearman"]["distance area"] == metrics["external_validity"]
    assert metrics["spearman"]["shift area"] != metrics["external_validity"]
    assert set(metrics["kendall"]) == set(MEASURES)
    for kind in ("external_validity_by_samples", "external_validity_small_sample"):
        assert metrics[kind]["value"] == metrics["external_validity"]["value"]
