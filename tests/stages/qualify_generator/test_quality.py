"""Frechet distance, precision and recall, shares and ratios, nearest training images, shares of corruptions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from failure_atlas.images.image_set import Severities
from failure_atlas.quality import copies, manifold
from failure_atlas.quality.comparison import compare_features, divide_means
from failure_atlas.quality.copies import compare_nearness, find_nearest
from failure_atlas.quality.frechet import Gaussian, fit_gaussian, frechet_distance
from failure_atlas.quality.labels import compare_severities, subtract_proportions
from failure_atlas.quality.manifold import count_classes, draw_matched, find_covered, fit_manifold
from failure_atlas.statistics.estimates import proportion
from tests.refusing import refused


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


def test_nearest_equals_a_search_one_by_one(monkeypatch):
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


def test_a_copy_has_distance_zero_and_copies_are_counted():
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


def draw_severities(n, seed, shares):
    """Features that show the severity (0, 1 or 2 of both corruptions) with overlap, in the given shares."""
    stream = np.random.default_rng(seed)
    severity = stream.choice(3, n, p=shares).astype(np.uint8)
    features = stream.standard_normal((n, 4)) + 1.5 * severity[:, None]
    return features.astype(np.float32), Severities({"blur": severity, "noise": severity})


def test_equal_shares_show_no_gap_and_others_do():
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


def test_one_severity_leaves_nothing_to_compare():
    features = np.zeros((10, 2), np.float32)
    none = Severities({"blur": np.zeros(10, np.uint8), "noise": np.zeros(10, np.uint8)})
    found = compare_severities(features, none, features, none, features)
    assert np.isnan(found.pop("severity_share_gap")["value"])
    assert found == {"severity_shares": {}, "severity_reading_accuracy": {}}


def draw_covariance(stream, size):
    factor = stream.standard_normal((size, size))
    return factor @ factor.T


def test_commuting_covariances_have_a_closed_form():
    # With a common basis the distance is the sum of the squared differences of the standard deviations.
    stream = np.random.default_rng(1)
    basis = np.linalg.qr(stream.standard_normal((5, 5)))[0]
    a, b = stream.uniform(0.1, 3, 5), stream.uniform(0.1, 3, 5)
    first = Gaussian(np.zeros(5), basis @ np.diag(a**2) @ basis.T)
    second = Gaussian(np.ones(5), basis @ np.diag(b**2) @ basis.T)
    assert frechet_distance(first, second) == pytest.approx(5 + ((a - b) ** 2).sum())


def test_agrees_with_the_matrix_root():
    stream = np.random.default_rng(2)
    first, second = (Gaussian(stream.standard_normal(6), draw_covariance(stream, 6)) for _ in range(2))
    root = sqrtm(first.covariance @ second.covariance).real
    slow = np.sum((first.mean - second.mean) ** 2) + np.trace(first.covariance + second.covariance - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(slow, rel=1e-9)


def test_singular_covariances_are_exact():
    # Five samples in twenty dimensions: a general matrix root turns complex here.
    features = np.random.default_rng(3).standard_normal((5, 20))
    gaussian = fit_gaussian(features)
    assert frechet_distance(gaussian, gaussian) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(gaussian, fit_gaussian(features + 2)) == pytest.approx(80)
    expected = 4 * (gaussian.mean @ gaussian.mean + np.trace(gaussian.covariance))
    assert frechet_distance(gaussian, fit_gaussian(3 * features)) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 6), seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
def test_symmetric_never_negative_and_scales_as_a_square(size, seed, scale):
    stream = np.random.default_rng(seed)
    first, second = (Gaussian(stream.standard_normal(size), draw_covariance(stream, size)) for _ in range(2))
    distance = frechet_distance(first, second)
    assert distance >= 0
    assert frechet_distance(second, first) == pytest.approx(distance, rel=1e-8, abs=1e-10)
    larger = [Gaussian(scale * each.mean, scale**2 * each.covariance) for each in (first, second)]
    assert frechet_distance(*larger) == pytest.approx(scale**2 * distance, rel=1e-7, abs=1e-9 * scale**2)


def test_moments_of_samples():
    features = np.random.default_rng(4).standard_normal((50, 3)).astype(np.float32)
    gaussian = fit_gaussian(features)
    assert gaussian.mean.dtype == np.float64
    np.testing.assert_allclose(gaussian.covariance, np.cov(features.T), rtol=1e-6)
    refused("at least 2 samples, got 1", fit_gaussian, features[:1], error=ValueError)


def cover_slowly(points, centres, neighbours):
    """One pair at a time, as the paper defines it."""
    radii = []
    for i, centre in enumerate(centres):
        others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(centres) if j != i)
        radii.append(others[neighbours - 1])
    return np.array([any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True)) for p in points])


def test_points_on_a_line():
    fitted = fit_manifold(np.array([[0.0], [1.0], [2.0], [4.0]]), neighbours=1)
    np.testing.assert_allclose(fitted.squared_radii, [1, 1, 1, 4])
    covered = find_covered(np.array([[-1.0], [-1.1], [3.0], [6.0], [6.1]]), fitted)
    assert covered.tolist() == [True, False, True, True, False]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(5, 20), size=st.integers(1, 4), neighbours=st.integers(1, 4))
def test_agrees_with_one_pair_at_a_time(seed, n, size, neighbours):
    stream = np.random.default_rng(seed)
    centres, points = stream.standard_normal((n, size)), 2 * stream.standard_normal((15, size))
    fast = find_covered(points, fit_manifold(centres, neighbours))
    assert fast.tolist() == cover_slowly(points, centres, neighbours).tolist()


def test_chunks_change_nothing(monkeypatch):
    stream = np.random.default_rng(1)
    centres, points = stream.standard_normal((30, 3)), 2 * stream.standard_normal((25, 3))
    whole = fit_manifold(centres, 3)
    covered = find_covered(points, whole)
    monkeypatch.setattr(manifold, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(fit_manifold(centres, 3).squared_radii, whole.squared_radii)
    assert find_covered(points, whole).tolist() == covered.tolist()


def test_too_many_neighbours():
    refused("3 neighbours among 3 samples", fit_manifold, np.zeros((3, 2)), 3, error=ValueError)


MATCHED = [
    ([3, 2, 1], [2, 3, 2], 100, [2, 2, 1]),  # as many as both have
    ([60, 30, 10], [60, 30, 10], 10, [6, 3, 1]),  # fewer in the same shares
    ([60, 30, 10], [60, 30, 10], 15, [9, 5, 1]),  # 9, 4.5 and 1.5: the first remainder wins
    ([1, 1], [2, 0], 10, [1, 0]),  # a class that one source lacks is left out
]


@pytest.mark.parametrize(("first", "second", "samples", "counts"), MATCHED)
def test_matched_sets_have_equally_many_of_each_class(first, second, samples, counts):
    labels = (np.repeat(range(len(counts)), of_class) for of_class in (first, second))
    assert count_classes(*labels, samples, len(counts)).tolist() == counts


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 1000), train=st.integers(20, 200), test=st.integers(20, 100), samples=st.integers(1, 120),
    most=st.integers(1, 5)
)  # fmt: skip
def test_sets_are_matched_disjoint_and_no_larger_than_asked(seed, train, test, samples, most):
    stream = np.random.default_rng(seed)
    first, second = stream.integers(0, 4, test), stream.integers(0, 4, train)
    counts = count_classes(first, second, samples, 4)
    assert counts.sum() <= samples
    sets, again = (draw_matched(second, counts, most, np.random.default_rng(seed)) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(sets, again, strict=True))
    assert 1 <= len(sets) <= most
    assert all(np.bincount(second[rows], minlength=4).tolist() == counts.tolist() for rows in sets)
    together = np.concatenate(sets)
    assert len(np.unique(together)) == len(together)
