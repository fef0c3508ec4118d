"""What an ensemble is worth on real images: accuracy, calibration, and how sure it is."""

from typing import Any

import numpy as np

from failure_atlas.classifiers.evaluation import calibration_error, calibration_interval, measure_accuracy
from failure_atlas.images.image_set import Severities
from failure_atlas.judges.calibration import measure_surprise
from failure_atlas.judges.verdicts import LABEL_CHANGED, READINGS, read_labels
from failure_atlas.statistics.estimates import flatten, proportion


def measure_ensemble(
    raw: np.ndarray,
    calibrated: np.ndarray,
    labels: np.ndarray,
    severities: Severities,
    class_names: list[str],
    confidence: float,
    stream: np.random.Generator,
) -> dict[str, Any]:
    """Figures of one ensemble on real test images.

    raw, calibrated: probabilities [N, classes] before and after tempering.  labels: int64 [N].
    `sure_share`: images in which it sees a class with at least this confidence; `sure_accuracy`: among those.
    `false_verdict_share`: images in which it would say that the label has changed, which on real images is its own
    error.
    """
    correct = calibrated.argmax(axis=1) == labels
    sure = calibrated.max(axis=1) >= confidence
    readings = read_labels(calibrated, labels, confidence)
    return {
        "accuracy": proportion(correct),
        "accuracy_on_corrupted": proportion(correct[~severities.clean]),
        "accuracy_per_class": measure_accuracy(correct, labels, class_names),
        "negative_log_likelihood": measure_surprise(calibrated, labels),
        **flatten(
            "calibration_error",
            {"value": calibration_error(calibrated, labels)} | calibration_interval(calibrated, labels, stream),
        ),
        "calibration_error_untempered": calibration_error(raw, labels),
        "sure_share": proportion(sure),
        "sure_accuracy": proportion(correct[sure]),
        "false_verdict_share": proportion(readings == READINGS.index(LABEL_CHANGED)),
    }
