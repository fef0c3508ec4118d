"""Bootstrap and paired differences against closed forms, and as often right as they claim."""

import numpy as np
import pytest

from failure_atlas.curves.curve import weigh_area
from failure_atlas.statistics.bootstrap import draw_counts, find_band, resample_means
from stages.compute_curves.paired import compare, pair_names, summarize_differences, tabulate_differences
from stages.compute_curves.paired_study import compare_by_distance, compare_by_shift


def test_counts_draw_n_of_n_with_equal_chance():
    counts = draw_counts(50, 400, np.random.default_rng(1))
    assert counts.shape == (400, 50)
    assert (counts.sum(axis=1) == 50).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.25)


def test_replicates_agree_with_one_replicate_at_a_time():
    stream = np.random.default_rng(2)
    values, member = stream.integers(-1, 2, (3, 20)), stream.random((3, 20)) < 0.5
    counts = draw_counts(20, 30, stream)
    for row, measured in zip(counts.astype(int), resample_means(values, member, counts), strict=True):
        drawn = np.repeat(np.arange(20), row)
        for point in range(3):
            inside = drawn[member[point, drawn]]
            assert measured[point] == pytest.approx(values[point, inside].mean())


def test_replicate_without_a_sample_of_a_point_takes_its_own_mean():
    member = np.array([[True, False, False]])
    assert resample_means(np.array([[-1, 0, 0]]), member, np.array([[0, 2, 1]], np.float32)).tolist() == [[-1]]


def test_spread_of_replicates_is_the_standard_error():
    stream = np.random.default_rng(3)
    correct = stream.random((1, 500)) < 0.7
    replicates = resample_means(correct, np.ones_like(correct), draw_counts(500, 2000, stream))
    assert replicates.std() == pytest.approx(correct.std() / np.sqrt(500), rel=0.08)


def test_band_holds_the_whole_curve_as_often_as_it_claims():
    stream = np.random.default_rng(4)
    truth = np.array([0.9, 0.8, 0.6, 0.5, 0.4, 0.3])
    hits = 0
    for _ in range(200):
        correct = stream.random((6, 150)) < truth[:, None]
        mean = correct.mean(axis=1)
        replicates = resample_means(correct, np.ones_like(correct), draw_counts(150, 400, stream))
        errors = [np.sqrt((p * 150 + 2) / 154 * (1 - (p * 150 + 2) / 154) / 150) for p in (mean, replicates)]
        low, high = find_band(mean, errors[0], replicates, errors[1])
        hits += bool(((low <= truth) & (truth <= high)).all())
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_difference_by_hand():
    # Four samples at two steps: the second classifier gains one sample at the first step and two at the second.
    gain = np.array([[1, 0, 0, 0], [1, 1, 0, 0]])
    counts = draw_counts(4, 100, np.random.default_rng(5))
    difference = compare("a", "b", "shift", np.array([0.0, 1]), gain, np.ones((2, 4), bool), counts)
    assert difference.difference.tolist() == [0.25, 0.5]
    assert difference.area["value"] == 0.375
    assert difference.area["n"] == 4
    # Agresti and Min: half a sample more of each outcome, 1.5 gained, 0.5 lost of 6 at the first step.
    half = 1.959964 * np.sqrt((2 / 6 - (1 / 6) ** 2) / 6)
    assert difference.high[0] == pytest.approx(0.25 + half, rel=1e-5)
    assert difference.low[0] == pytest.approx(0.25 - half, rel=1e-5)
    assert (difference.band_low <= difference.difference).all()
    assert (difference.band_high >= difference.difference).all()


def test_paired_area_interval_is_that_of_the_samples_own_areas():
    stream = np.random.default_rng(6)
    x = np.array([0.0, 1, 2, 5])
    limits = stream.uniform(0, 6, 400)  # both fail for good beyond a shift; the second stands a little more
    first, second = (x[:, None] < limit for limit in (limits, limits + stream.uniform(-0.3, 0.9, 400)))
    (difference,) = compare_by_shift(x, {"one": first, "two": second}, draw_counts(400, 2000, stream))
    each = weigh_area(x) @ (second.astype(int) - first)
    half = 1.96 * each.std(ddof=1) / 20
    assert difference.name == "two_minus_one"
    assert difference.area["value"] == pytest.approx(each.mean())
    assert difference.area["low"] == pytest.approx(each.mean() - half, abs=0.15 * half)
    assert difference.area["high"] == pytest.approx(each.mean() + half, abs=0.15 * half)


def test_area_interval_covers_the_truth_as_often_as_it_claims():
    stream = np.random.default_rng(7)
    x, hits = np.arange(3.0), 0
    for _ in range(200):
        shared = stream.random(120)  # both classifiers fail on the same hard samples
        first, second = (np.stack([shared < p for p in levels]) for levels in ((0.8, 0.6, 0.4), (0.85, 0.7, 0.55)))
        (difference,) = compare_by_shift(x, {"a": first, "b": second}, draw_counts(120, 200, stream))
        hits += difference.area["low"] <= 0.1 <= difference.area["high"]
    assert hits / 200 == pytest.approx(0.95, abs=0.05)


def test_distance_bins_share_one_axis():
    # The second classifier is right wherever the first is, and also beyond a distance of 3 from its class's mean.
    stream = np.random.default_rng(8)
    true_class = np.arange(4000) % 2
    offsets = stream.standard_normal((4000, 4))
    styles = (offsets + 10 * true_class[:, None]).astype(np.float32)
    near = np.linalg.norm(offsets, axis=1) < 2
    outcomes = {"one": near, "two": np.ones(4000, bool), "three": ~near}
    differences = list(
        compare_by_distance(
            styles, true_class, outcomes, np.ones(4), classes=2, bins=10, tail_quantile=0.99,
            counts=draw_counts(4000, 100, stream),
        )
    )  # fmt: skip
    assert [each.name for each in differences] == ["two_minus_one", "three_minus_one", "three_minus_two"]
    first = differences[0]
    assert first.difference[0] == 0
    assert first.difference[-1] == 1
    assert first.area["n"] == first.n.sum() == 3960
    assert first.low[0] < 0 < first.high[0]
    assert (np.diff(first.x) > 0).all()
    table = tabulate_differences(differences)
    assert len(table) == 30
    assert summarize_differences(differences)["two_minus_one"] == {"area": first.area}


def test_nothing_to_compare():
    assert pair_names(["one"]) == []
    assert len(tabulate_differences([])) == 0
    assert summarize_differences([]) == {}
