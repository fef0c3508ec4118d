"""One temperature that makes stated confidence agree with how often an ensemble is right (Guo et al. 2017)."""

import numpy as np
from scipy import optimize, special

LOWEST, HIGHEST = 0.1, 10.0  # where the temperature is searched
FOLDS = 2


def temper(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [N, classes] after division of their logarithms by the temperature."""
    return np.asarray(special.softmax(log_probabilities / temperature, axis=1))


def fit_temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes the labels most likely; log_probabilities: [N, classes], labels: int64 [N]."""
    found = optimize.minimize_scalar(
        lambda exponent: measure_surprise(temper(log_probabilities, float(np.exp(exponent))), labels),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def calibrate_across(log_probabilities: np.ndarray, labels: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Probabilities [N, classes], each half tempered by what the other half says.

    So every image can be used to measure the calibration, and none is measured with a temperature that it helped to
    choose. The halves are random and balanced by class.
    """
    fold = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = stream.permutation(np.flatnonzero(labels == label))
        fold[members] = np.arange(len(members)) % FOLDS
    probabilities = np.empty_like(log_probabilities)
    for held_out in range(FOLDS):
        rest = fold != held_out
        temperature = fit_temperature(log_probabilities[rest], labels[rest])
        probabilities[~rest] = temper(log_probabilities[~rest], temperature)
    return probabilities


def measure_surprise(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    likelihood = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(likelihood, np.finfo(float).tiny)).mean())
