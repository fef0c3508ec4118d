"""How often the judge agrees with a label, overall and per class, and how two such shares differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import flatten, proportion


def measure_labels(
    predicted: np.ndarray, conditioned: np.ndarray, predicted_real: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """The judge's agreement with the labels of generated and of real images, and the gap between the two.

    predicted, conditioned: int64 [N], seen in and asked of generated images.
    predicted_real, labels: int64 [M], seen in and known of real ones.
    """
    consistency, accuracy = measure_agreement(predicted, conditioned), measure_agreement(predicted_real, labels)
    consistencies = measure_agreement_per_class(predicted, conditioned, names)
    accuracies = measure_agreement_per_class(predicted_real, labels, names)
    gaps = {name: subtract_proportions(accuracies[name], consistencies[name]) for name in names}
    return {
        **flatten("label_consistency", consistency),
        **flatten("judge_accuracy_real", accuracy),
        **flatten("label_gap", subtract_proportions(accuracy, consistency)),
        "label_consistency_per_class": consistencies,
        "judge_accuracy_real_per_class": accuracies,
        "label_gap_per_class": gaps,
        "label_gap_widest_class": max(gaps.values(), key=lambda gap: abs(gap["value"])),
    }


def measure_agreement(predicted: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Share of samples whose predicted class is their label, with its Wilson interval: {value, low, high, n}."""
    return proportion(predicted == labels)


def measure_agreement_per_class(
    predicted: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The same for the samples of each label."""
    return {
        name: measure_agreement(predicted[labels == label], labels[labels == label])
        for label, name in enumerate(class_names)
    }


def subtract_proportions(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Difference of two independent proportions with Newcombe's 95 % interval (1998, method 10): {value, low, high, n}.

    first, second: {value, low, high, n} with Wilson bounds.  n is the smaller of the two counts.
    """
    difference = first["value"] - second["value"]
    below = np.hypot(first["value"] - first["low"], second["high"] - second["value"])
    above = np.hypot(first["high"] - first["value"], second["value"] - second["low"])
    return {
        "value": difference,
        "low": float(difference - below),
        "high": float(difference + above),
        "n": min(first["n"], second["n"]),
    }
