"""How often the judge agrees with a label, overall and per class, and how two such shares differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stages.common.intervals import proportion


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
