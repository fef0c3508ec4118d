"""Calibration and confusion against closed forms and a slow twin."""

import numpy as np
import pytest
import torch

from failure_atlas.classifiers.evaluation import (
    calibration_error,
    calibration_interval,
    calibration_table,
    count_confusion,
    measure_accuracy,
    predict,
)
from failure_atlas.classifiers.networks import Classifier


def outputs(confidence, n=None):
    """Two-class probabilities whose largest is `confidence`, always for class 0."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], axis=1)


def draw(n, seed, sharpness=3.0):
    stream = np.random.default_rng(seed)
    logits = stream.normal(size=(n, 5)) * sharpness
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) < stream.random((n, 1))).sum(1)  # calibrated by construction
    return probabilities, labels


def test_closed_forms():
    labels = np.array([0] * 8 + [1] * 2)
    assert calibration_error(outputs([0.8] * 10), labels) == pytest.approx(0)  # 80 % sure, 80 % right
    assert calibration_error(outputs([1.0] * 10), labels) == pytest.approx(0.2)
    assert calibration_error(outputs([0.55] * 10), labels) == pytest.approx(0.25)
    # Two bins that err in opposite directions do not cancel.
    halves = outputs([0.6] * 4 + [0.9] * 6)
    assert calibration_error(halves, labels) == pytest.approx(0.4 * 0.4 + 0.6 * abs(4 / 6 - 0.9))


def test_slow_twin():
    probabilities, labels = draw(500, 1)
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    error = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = [i for i in range(500) if low < confidence[i] <= high]
        if inside:
            hits = sum(predicted[i] == labels[i] for i in inside) / len(inside)
            error += len(inside) / 500 * abs(hits - sum(confidence[i] for i in inside) / len(inside))
    assert calibration_error(probabilities, labels) == pytest.approx(error)
    table = calibration_table(probabilities, labels)
    filled = table[table["n"] > 0]
    assert (filled["n"] * (filled["accuracy"] - filled["mean_confidence"]).abs()).sum() / 500 == pytest.approx(error)
    assert table["n"].sum() == 500
    assert (filled["low"] < filled["accuracy"] + 1e-9).all()
    assert (filled["high"] > filled["accuracy"] - 1e-9).all()


@pytest.mark.parametrize("overconfidence", [0.0, 0.01, 0.1])
def test_interval_covers_the_error_as_often_as_it_says_also_near_0(overconfidence):
    """Two classes; the first has probability c, and is right with c - overconfidence: the error is known."""
    random, samples, covered = np.random.default_rng(6), 300, []
    for _ in range(120):
        confidence = random.uniform(0.7, 1, samples)
        labels = (random.random(samples) >= confidence - overconfidence).astype(int)
        interval = calibration_interval(np.stack([confidence, 1 - confidence], axis=1), labels, random)
        covered.append(interval["low"] <= overconfidence <= interval["high"])
    assert np.mean(covered) >= 0.95
    assert interval["high"] - interval["low"] < 0.2


def test_confusion_counts_pairs():
    labels, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0])
    assert count_confusion(labels, predicted, 3).tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]


def test_accuracy_of_each_class_and_of_one_that_is_absent():
    found = measure_accuracy(np.array([True, False, True]), np.array([0, 0, 1]), ["a", "b", "c"])
    assert [found[name]["value"] for name in "ab"] == [0.5, 1.0]
    assert [found[name]["n"] for name in "abc"] == [2, 1, 0]


def test_predictions_are_probabilities_and_do_not_depend_on_the_batch():
    classifier = Classifier("plain", classes=4, width=8).eval()
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 32, 32), np.uint8)
    whole, parts = predict(classifier, images), predict(classifier, images, batch_size=2)
    assert whole.shape == (7, 4)
    np.testing.assert_allclose(whole.sum(1), 1)
    np.testing.assert_allclose(whole, parts, rtol=1e-5)
    with torch.no_grad():
        logits = classifier(torch.from_numpy(images) / 255)
    np.testing.assert_allclose(whole, logits.softmax(1), rtol=1e-5)
