"""What one classifier makes of the clean and of the corrupted test set: its metrics and its figures."""

from typing import Any

import numpy as np

from stages.common.intervals import proportion
from stages.common.seeds import numpy_stream
from stages.corrupt_images.store import Severities
from stages.prepare_images.store import ImageSet
from stages.train_classifiers.evaluation import (
    calibration_error,
    calibration_interval,
    calibration_table,
    count_confusion,
    measure_accuracy,
)
from stages.train_classifiers.figures import Drawing, draw_confusion, draw_reliability, draw_severities


def examine(
    probabilities: dict[str, np.ndarray],
    tests: dict[str, ImageSet],
    severities: Severities,
    class_names: list[str],
    seed: int,
) -> dict[str, Any]:
    """Accuracy, also of each class, and calibration error on the test sets `clean` and `corrupted`.

    probabilities: [N, classes] of each set, as `predict` gives them.  severities: of the images of `corrupted`.
    """
    metrics: dict[str, Any] = {}
    for name, test in tests.items():
        correct = mark(probabilities[name], test)
        stream = numpy_stream(seed, "train_classifiers", "calibration", name)
        metrics |= {
            f"{name}_test_accuracy": proportion(correct),
            f"{name}_test_accuracy_per_class": measure_accuracy(correct, test.labels, class_names),
            f"{name}_calibration_error": calibration_error(probabilities[name], test.labels),
            f"{name}_calibration_error_interval": calibration_interval(probabilities[name], test.labels, stream),
        }
    correct = mark(probabilities["corrupted"], tests["corrupted"])
    metrics["corrupted_half_test_accuracy"] = proportion(correct[~severities.clean])
    return metrics


def draw_examination(
    probabilities: dict[str, np.ndarray], tests: dict[str, ImageSet], severities: Severities, class_names: list[str]
) -> dict[str, Drawing]:
    """Figures by name: reliability and confusion on both test sets, accuracy by severity.  Arguments as `examine`."""
    labels = {name: test.labels for name, test in tests.items()}
    tables = {name: calibration_table(each, labels[name]) for name, each in probabilities.items()}
    errors = {name: calibration_error(each, labels[name]) for name, each in probabilities.items()}
    counts = {
        name: count_confusion(labels[name], each.argmax(axis=1), len(class_names))
        for name, each in probabilities.items()
    }
    return {
        "reliability": draw_reliability(tables, errors),
        "confusion": draw_confusion(counts, class_names),
        "severities": draw_severities(mark(probabilities["corrupted"], tests["corrupted"]), severities),
    }


def mark(probabilities: np.ndarray, test: ImageSet) -> np.ndarray:
    """bool [N]: where the most probable class is the true one."""
    correct: np.ndarray = probabilities.argmax(axis=1) == test.labels
    return correct
