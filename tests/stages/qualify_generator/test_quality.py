"""Sets of features against one reference, shares and ratios, nearest training images, shares of corruptions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from failure_atlas.images.image_set import Severities
from failure_atlas.quality import copies
from failure_atlas.quality.comparison import compare_features, divide_means
from failure_atlas.quality.copies import compare_nearness, find_nearest
from failure_atlas.quality.labels import compare_severities, subtract_proportions
from failure_atlas.statistics.estimates import proportion


def test_a_perfect_generator_is_at_the_floor_and_a_poor_one_above():
    stream = np.random.default_rng(1)
    draw = lambda count, scale: [scale * stream.standard_normal((300, 4)) for _ in range(count)]  # noqa: E731
    test = stream.standard_normal((300, 4))
    train, told = draw(4, 1), []
    good = compare_features(draw(6, 1), train, test, 3, lambda: told.append(1))
    assert good["frechet_ratio_interval"]["low"] < 1 < good["frechet_ratio_interval"]["high"]
    assert good["precision"] == pytest.approx(good["precision_real"], abs=0.03)
    assert (len(told), good["frechet_populations"], good["frechet_train_subsets"]) == (10, 6, 4)
    assert good["frechet_distance_interval"]["n"] == good["frechet_samples"] == 300

    narrow = compare_features(draw(6, 0.3), train, test, 3)
    assert narrow["frechet_ratio_interval"]["low"] > 5
    assert narrow["precision"] > narrow["precision_real"]
    assert narrow["recall"] < 0.6 < narrow["recall_real"]


def test_one_train_subset_has_a_floor_without_interval():
    stream = np.random.default_rng(2)
    sets = [stream.standard_normal((30, 2)) for _ in range(4)]
    compared = compare_features(sets[:2], sets[2:3], sets[3], 3)
    assert compared["frechet_floor"] > 0
    assert np.isnan(compared["frechet_floor_interval"]["low"])
    assert np.isnan(compared["frechet_ratio_interval"]["low"])


def share(successes, n):
    return proportion(np.arange(n) < successes)


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


CPU = torch.device("cpu")


def test_nearest_equals_a_search_one_by_one(monkeypatch) -> None:
    monkeypatch.setattr(copies, "ROWS", 7)
    stream = np.random.default_rng(0)
    train = stream.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    images = torch.from_numpy(stream.random((20, 1, 8, 8), dtype=np.float32))
    told: list[int] = []
    nearest = find_nearest(images, train, CPU, told.append)
    each = np.sqrt(((images.numpy()[:, None] - train[None] / 255) ** 2).mean(axis=(2, 3, 4)))
    assert nearest.index.tolist() == each.argmin(axis=1).tolist()
    np.testing.assert_allclose(nearest.distance, each.min(axis=1), rtol=1e-4)
    assert told == [7, 7, 6]


def test_a_copy_has_distance_zero_and_copies_are_counted() -> None:
    stream = np.random.default_rng(1)
    train = stream.integers(0, 256, (50, 1, 8, 8), dtype=np.uint8)
    test = stream.random((200, 1, 8, 8), dtype=np.float32)
    generated = test[::-1].copy()
    generated[:20] = train[:20] / 255
    own, real = (find_nearest(torch.from_numpy(part), train, CPU).distance for part in (generated, test))
    np.testing.assert_allclose(own[:20], 0, atol=1e-3)
    compared = compare_nearness(own, real)
    assert compared["copies_share"]["value"] >= 0.1
    assert compared["nearest_distance"]["generated"]["smallest"] < compared["nearest_distance"]["real"]["smallest"]
    assert compare_nearness(real, real)["copies_share"]["value"] <= 0.011


def draw_severities(n: int, seed: int, shares: tuple[float, float, float]) -> tuple[np.ndarray, Severities]:
    """Features that show the severity (0, 1 or 2 of both corruptions) with overlap, in the given shares."""
    stream = np.random.default_rng(seed)
    severity = stream.choice(3, n, p=shares).astype(np.uint8)
    features = stream.standard_normal((n, 4)) + 1.5 * severity[:, None]
    return features.astype(np.float32), Severities({"blur": severity, "noise": severity})


def test_equal_shares_show_no_gap_and_others_do() -> None:
    even = (0.5, 0.25, 0.25)
    train, known = draw_severities(4000, 1, even)
    test, known_test = draw_severities(4000, 2, even)
    same = compare_severities(train, known, test, known_test, draw_severities(8000, 3, even)[0])
    assert set(same["severity_shares"]) == {"blur_none", "blur_1", "blur_2", "noise_none", "noise_1", "noise_2"}
    assert abs(same["severity_share_gap"]["value"]) < 0.03
    assert same["severity_reading_accuracy"]["blur"]["value"] > 0.8
    skewed = compare_severities(train, known, test, known_test, draw_severities(8000, 4, (0.7, 0.25, 0.05))[0])
    assert abs(skewed["severity_share_gap"]["value"]) == pytest.approx(0.2, abs=0.05)
    lost = skewed["severity_shares"]["noise_2"]["gap"]
    assert lost["high"] < -0.1


def test_one_severity_leaves_nothing_to_compare() -> None:
    features = np.zeros((10, 2), np.float32)
    none = Severities({"blur": np.zeros(10, np.uint8), "noise": np.zeros(10, np.uint8)})
    assert compare_severities(features, none, features, none, features) == {}
