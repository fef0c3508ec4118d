"""What is measured of a classifier, by hand and against a slow twin; correlations as a table, and the verdict."""

import numpy as np
import pytest
from scipy import stats

from failure_atlas.statistics.estimates import proportion
from stages.validate_externally import measures, results

SHIFTS = np.arange(5.0)


def test_areas_by_hand():
    correct = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1] * 5, [1] * 5], bool).T
    readable = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1] * 5, [1] * 5], bool).T
    found = measures.Generated(correct[0], np.arange(4.0), correct, readable & ~correct).measure(SHIFTS, 2, 1.0)
    # Trapezoids over the shifts 0..4: (1/2 + 0 + 0 + 0 + 0) / 4 and so on, averaged over the four samples.
    assert found["shift area"]["value"] == pytest.approx((0.5 / 4 + 1.5 / 4 + 1 + 1) / 4)
    assert found["avoidable area"]["value"] == pytest.approx((2 / 4 + 2 / 4) / 4)
    assert found["population accuracy"] == proportion(np.ones(4, bool))
    assert found["distance area"]["value"] == 1
    assert found["shift to failure"]["value"] == pytest.approx((1 + 2 + 4 + 4) / 4)


def test_real_accuracy_of_one_condition_and_of_an_average():
    correct = np.random.default_rng(1).random((3, 200)) < np.array([[0.9], [0.7], [0.5]])
    weights = {"first": np.array([1.0, 0, 0]), "mean": np.array([0, 0.5, 0.5])}
    found = measures.measure_real(correct, weights)
    assert found["first"] == proportion(correct[0])
    assert found["mean"]["value"] == pytest.approx(correct[1:].mean())
    assert found["mean"]["n"] == 200
    half = correct[1:].mean(axis=0).std(ddof=1) / np.sqrt(200) * 1.971957  # Student, 199 degrees of freedom
    assert found["mean"]["high"] - found["mean"]["value"] == pytest.approx(half)
    sure = measures.measure_real(np.ones((3, 20), bool), weights)["mean"]
    assert (sure["value"], sure["low"], sure["high"]) == (1, 1, 1)


def make_generated(random, accuracy):
    distance = random.exponential(1, 300)
    well = random.random(300) < accuracy * np.exp(-distance / 5)
    correct = random.random((5, 200)) < accuracy
    return measures.Generated(well, distance, correct, ~correct & (random.random((5, 200)) < 0.5))


def test_resampling_is_what_repeated_measuring_gives():
    random = np.random.default_rng(1)
    classifiers = [make_generated(random, accuracy) for accuracy in (0.9, 0.6)]
    found = measures.resample_generated(classifiers, SHIFTS, 200, np.random.default_rng(3), bins=5, tail_quantile=0.99)
    assert found.shape == (200, 5, 2)
    # Slow twin: measure what each draw holds.
    stream = np.random.default_rng(3)
    counts = stream.multinomial(300, np.full(300, 1 / 300), size=200)
    shifted = stream.multinomial(200, np.full(200, 1 / 200), size=200)
    for draw in (0, 7):
        rows, moved = np.repeat(np.arange(300), counts[draw]), np.repeat(np.arange(200), shifted[draw])
        for place, one in enumerate(classifiers):
            again = measures.Generated(
                one.well[rows], one.distance[rows], one.correct[:, moved], one.avoidable[:, moved]
            )
            expected = [estimate["value"] for estimate in again.measure(SHIFTS, 5, 0.99).values()]
            assert found[draw, :, place] == pytest.approx(expected)
    p = classifiers[0].well.mean()
    spread = found[:, measures.MEASURES.index("population accuracy"), 0].std()
    assert spread == pytest.approx(np.sqrt(p * (1 - p) / 300), rel=0.2)


def test_resampled_real_accuracies():
    random = np.random.default_rng(1)
    correct = [random.random((3, 100)) < accuracy for accuracy in (0.9, 0.5)]
    weights = {"first": np.array([1.0, 0, 0]), "mean": np.full(3, 1 / 3)}
    found = measures.resample_real(correct, weights, 300, np.random.default_rng(3))
    assert found.shape == (300, 2, 2)
    counts = np.random.default_rng(3).multinomial(100, np.full(100, 0.01), size=300)
    rows = np.repeat(np.arange(100), counts[5])
    assert found[5, 0] == pytest.approx([one[0, rows].mean() for one in correct])
    assert found[5, 1] == pytest.approx([one[:, rows].mean() for one in correct])
    assert found[:, 0, 1].mean() == pytest.approx(correct[1][0].mean(), abs=0.02)


def correlate(real_of, replicates=300):
    """Ten classifiers in the order of all measures but the avoidable area (falls) and the shift area (swings)."""
    generated, real = {}, {}
    for place in range(10):
        swing = place + 4 * (place % 2)
        values = {"distance area": place, "shift area": swing, "avoidable area": -place, "shift to failure": swing}
        values["population accuracy"] = place
        generated[str(place)] = {name: {"value": value / 10} for name, value in values.items()}
        real[str(place)] = {name: {"value": real_of(place)} for name in ("clean", "all corruptions")}
    spread = np.random.default_rng(2).normal(0, 0.01, (replicates, 5, 10))
    measured = np.array([[generated[str(k)][name]["value"] for k in range(10)] for name in measures.MEASURES]) + spread
    seen = np.array([[real_of(k) for k in range(10)]] * 2)
    seen = np.broadcast_to(seen, (replicates, 2, 10))
    return results.tabulate_correlations(generated, real, measured, seen, np.random.default_rng(1)), real


@pytest.mark.parametrize(
    ("real_of", "verdicts"),  # of distance area, the headline, shift area, avoidable area, shift to failure, accuracy
    [
        (lambda place: place**2, ["holds", "not decided", "fails", "not decided", "holds"]),
        (lambda place: -place, ["fails", "fails", "holds", "fails", "fails"]),
        (lambda place: place + 4 * (place % 2), ["not decided", "holds", "fails", "holds", "not decided"]),
    ],
)
def test_each_measure_has_its_own_verdict_on_the_bar(real_of, verdicts):
    table, real = correlate(real_of)
    assert len(table) == 2 * 5 * 2
    assert set(table["n"]) == {10}
    row = results.find_correlation(table, "spearman", "avoidable area", "clean")
    assert row["low"] <= row["value"] <= row["high"]
    assert row["small_sample_low"] <= row["value"] <= row["small_sample_high"]
    assert row["sample_low"] <= row["sample_high"]
    if verdicts[0] == "holds":
        assert row["value"] == row["low"] == pytest.approx(-1)
        assert row["small_sample_high"] > -1
        assert row["sample_high"] <= -0.9
    metrics = results.summarize_correlations(table, real, 0.9)
    assert metrics["verdicts"] == dict(zip(measures.MEASURES, verdicts, strict=True))
    assert metrics["verdict"] == verdicts[0]
    assert metrics["real_accuracy_range"] == sorted([real_of(0), max(map(real_of, range(10)), key=abs)])
    assert set(metrics["external_validity"]) == {"value", "low", "high", "n"}
    assert metrics["spearman"]["distance area"] == metrics["external_validity"]
    assert metrics["spearman"]["shift area"] != metrics["external_validity"]
    assert set(metrics["kendall"]) == set(measures.MEASURES)
    for kind in ("external_validity_by_samples", "external_validity_small_sample"):
        assert metrics[kind]["value"] == metrics["external_validity"]["value"]


def test_what_a_measure_adds_to_accuracy_is_a_paired_difference():
    random = np.random.default_rng(5)
    real = np.sort(random.uniform(0.5, 1, 12))
    values = dict.fromkeys(measures.MEASURES, real) | {
        "population accuracy": real[random.permutation(12)], "avoidable area": -real
    }  # fmt: skip
    generated = {str(k): {name: {"value": each[k]} for name, each in values.items()} for k in range(12)}
    accuracies = {str(k): {"all corruptions": {"value": real[k]}} for k in range(12)}
    found = results.compare_with_accuracy(generated, accuracies, 400, 0.7, random)
    plain = stats.spearmanr(values["population accuracy"], real).statistic
    added = found["adds_to_accuracy"]
    assert set(added) == set(measures.MEASURES) - {"population accuracy"}
    for each in added.values():  # a measure that falls counts with its sign turned
        assert each["value"] == pytest.approx(1 - plain)
        assert 0 < each["low"] < each["value"] < each["high"]
    strong = real > 0.7
    assert found["spearman_of_strong"]["population accuracy"]["n"] == strong.sum()
    plain = stats.spearmanr(values["population accuracy"][strong], real[strong]).statistic
    assert found["spearman_of_strong"]["population accuracy"]["value"] == pytest.approx(plain)
    assert found["adds_to_accuracy_of_strong"]["distance area"]["value"] == pytest.approx(1 - plain)
    assert "spearman_of_strong" not in results.compare_with_accuracy(generated, accuracies, 400, 0.99, random)


def test_failures_by_class_against_real_ones():
    labels = np.repeat(np.arange(4), 50)
    easy, hard = np.array([0.1, 0.4, 0.7, 0.9]), np.array([0.9, 0.7, 0.4, 0.1])
    rank = np.tile(np.arange(50) / 50, 4)
    well = np.stack([rank < easy[labels], rank < hard[labels]])
    found = measures.compare_classes(well, labels, well, labels)
    assert (found["class_failures"]["value"], found["class_failures"]["n"]) == (pytest.approx(1), 2)
    assert found["class_failures_of_others"]["value"] == pytest.approx(-1)
