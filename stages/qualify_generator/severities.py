"""Whether each kind of corruption appears as often as it should, as read from the judge's features.

A probe learns from real training images which severity of each step of the corruption the features show. It errs, but
in the same way on real test images and on generated ones: equal shares of what it reads mean equal shares of what is
there.
"""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from failure_atlas.images.image_set import Severities
from failure_atlas.statistics.estimates import proportion
from stages.qualify_generator.consistency import subtract_proportions

MAX_ITERATIONS = 300


def compare_severities(
    train: np.ndarray,
    train_severities: Severities,
    test: np.ndarray,
    test_severities: Severities,
    generated: np.ndarray,
) -> dict[str, Any]:
    """Shares of clean images and of each severity, as read from real test images and from generated ones.

    train, test, generated: features [N, F].  Returns `severity_shares`: kind -> {real, generated, gap}, each
    {value, low, high, n}; `severity_share_gap`, the largest gap of them, in either direction; and
    `severity_reading_accuracy`: how often the probes are right on the test images, per corruption.
    """
    shares: dict[str, dict[str, Any]] = {}
    accuracy = {}
    for corruption, known in train_severities.by_step.items():
        if len(np.unique(known)) < 2:
            continue
        probe = _fit(train, known)
        real, made = probe.predict(test), probe.predict(generated)
        accuracy[corruption] = proportion(real == test_severities.by_step[corruption])
        for severity in np.unique(known):
            # The steps come together: severity 0 of any means clean.
            kind = f"{corruption}_{severity}" if severity else f"{corruption}_none"
            one, other = proportion(real == severity), proportion(made == severity)
            shares[kind] = {"real": one, "generated": other, "gap": subtract_proportions(other, one)}
    if not shares:
        return {}
    widest = max(shares.values(), key=lambda share: abs(share["gap"]["value"]))
    return {
        "severity_shares": shares,
        "severity_share_gap": widest["gap"],
        "severity_reading_accuracy": accuracy,
    }


def _fit(features: np.ndarray, severities: np.ndarray) -> Pipeline:
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    with threadpool_limits(1):  # equal bytes whatever the number of threads
        probe.fit(features.astype(np.float64), severities)
    return probe
