"""Whether images show what they should: their class, and each kind of corruption as often as real ones do.

Severities are read from the judge's features: a probe learns from real training images which severity of each step of
the corruption they show. It errs, but in the same way on real test images and on generated ones: equal shares of what
it reads mean equal shares of what is there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from failure_atlas.classifiers.evaluation import measure_accuracy
from failure_atlas.images.image_set import Severities
from failure_atlas.statistics.estimates import NAN, Estimate, flatten, proportion, subtract

MAX_ITERATIONS = 300


def measure_labels(
    predicted: np.ndarray, conditioned: np.ndarray, predicted_real: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """The judge's agreement with the labels of generated and of real images, and the gap between the two.

    predicted, conditioned: int64 [N], seen in and asked of generated images.
    predicted_real, labels: int64 [M], seen in and known of real ones.
    """
    consistency, accuracy = proportion(predicted == conditioned), proportion(predicted_real == labels)
    consistencies = measure_accuracy(predicted == conditioned, conditioned, names)
    accuracies = measure_accuracy(predicted_real == labels, labels, names)
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


def subtract_proportions(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Difference of two independent proportions with Newcombe's 95 % interval (1998, method 10), as `subtract` has it.

    first, second: {value, low, high, n} with Wilson bounds.
    """
    return subtract(Estimate(**first), Estimate(**second)).as_dict()


def compare_severities(
    train: np.ndarray,
    train_severities: Severities,
    test: np.ndarray,
    test_severities: Severities,
    generated: np.ndarray,
) -> dict[str, Any]:
    """Shares of clean images and of each severity, as read from real test images and from generated ones.

    train, test, generated: features [N, F].  Returns `severity_shares`: kind -> {real, generated, gap}, each
    {value, low, high, n}; `severity_share_gap`, the largest gap of them, in either direction, NaN where all images are
    of one kind; and
    `severity_reading_accuracy`: how often the probes are right on the test images, per corruption.
    """
    shares: dict[str, dict[str, Any]] = {}
    accuracy = {}
    for corruption, known in train_severities.by_step.items():
        if len(np.unique(known)) < 2:
            continue
        probe = fit_probe(train, known)
        real, made = probe.predict(test), probe.predict(generated)
        accuracy[corruption] = proportion(real == test_severities.by_step[corruption])
        for severity in np.unique(known):
            # The steps come together: severity 0 of any means clean.
            kind = f"{corruption}_{severity}" if severity else f"{corruption}_none"
            one, other = proportion(real == severity), proportion(made == severity)
            shares[kind] = {"real": one, "generated": other, "gap": subtract_proportions(other, one)}
    gaps = [share["gap"] for share in shares.values()]
    widest = max(gaps, key=lambda gap: abs(gap["value"]), default=Estimate(NAN, n=len(generated)).as_dict())
    return {"severity_shares": shares, "severity_share_gap": widest, "severity_reading_accuracy": accuracy}


def fit_probe(features: np.ndarray, severities: np.ndarray) -> Pipeline:
    """A probe that reads what is known of images, [N], from their features [N, F]."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    with threadpool_limits(1):  # equal bytes whatever the number of threads
        probe.fit(features.astype(np.float64), severities)
    return probe
