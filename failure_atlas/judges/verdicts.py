"""What a judge reads in an image, the verdict on a claim that a classifier fails on it, and how far readers agree."""

from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import percentile

LABEL_KEPT, LABEL_CHANGED, UNREADABLE = "label kept", "label changed", "unreadable"
READINGS = (LABEL_KEPT, LABEL_CHANGED, UNREADABLE)
TRUE_FAILURE, STILL_RIGHT = "true failure", "still right"
RESAMPLES = 400  # behind the interval of kappa
VERDICTS = (TRUE_FAILURE, LABEL_CHANGED, UNREADABLE, STILL_RIGHT)  # the first three in the order of READINGS


def read_labels(probabilities: np.ndarray, true_class: np.ndarray, confidence: float) -> np.ndarray:
    """What the judge reads in each image, whatever the classifier says, as indices into READINGS: int64 [N].

    probabilities: [N, classes], the judge's calibrated opinion.  true_class: [N], the class that was meant.
    Label kept: the judge sees the meant class with at least this confidence.  Label changed: it sees another class with
    at least this confidence.  Unreadable: neither.
    Raises ValueError unless 0.5 < confidence < 1: below, two classes could be seen at once.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0.5 and 1")
    rows = np.arange(len(probabilities))
    meant = probabilities[rows, true_class]
    others = probabilities.copy()
    others[rows, true_class] = -1
    readings = np.full(len(probabilities), READINGS.index(UNREADABLE), np.int64)
    readings[others.max(axis=1, initial=-1) >= confidence] = READINGS.index(LABEL_CHANGED)
    readings[meant >= confidence] = READINGS.index(LABEL_KEPT)
    return readings


def give_verdicts(
    probabilities: np.ndarray, true_class: np.ndarray, predicted: np.ndarray, confidence: float
) -> np.ndarray:
    """The verdict on each claimed failure, as indices into VERDICTS: int64 [N].

    predicted: [N], the classifier's most probable class; the rest as in `read_labels`.
    Still right: the classifier says the meant class, so that nothing has failed yet, whatever the judge reads; this is
    usual where its softmax stands at 0.50. Else the judge's reading decides. True failure: the label is kept, so the
    image is right and the classifier wrong. Label changed and unreadable: as the judge reads it.
    """
    readings = read_labels(probabilities, true_class, confidence)
    return np.where(predicted == true_class, VERDICTS.index(STILL_RIGHT), readings)


def measure_kappa(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Cohen's kappa (1960) of two readers with its 95 % percentile bootstrap interval: `{value, low, high, n}`.

    first, second: [N], what each says about the same images.  1 is agreement, 0 what chance gives.
    NaN where it is undefined, because both always say one and the same word, or N is 0; resamples in which that happens
    are left out of the interval.
    """
    from sklearn.metrics import cohen_kappa_score  # half a second, which readers of verdicts need not wait for

    def kappa(rows: np.ndarray) -> float:
        one, other = first[rows], second[rows]
        return float(cohen_kappa_score(one, other)) if len(np.union1d(one, other)) > 1 else float("nan")

    n = len(first)
    drawn = np.array([kappa(random.integers(0, n, n)) for _ in range(RESAMPLES if n else 0)])
    drawn = drawn[~np.isnan(drawn)]
    low, high = percentile(drawn) if drawn.size else (float("nan"), float("nan"))
    return {"value": kappa(np.arange(n)), "low": low, "high": high, "n": n}
