"""What a judge reads in an image, and the verdict on a claim that a classifier fails on it."""

import numpy as np

LABEL_KEPT, LABEL_CHANGED, UNREADABLE = "label kept", "label changed", "unreadable"
READINGS = (LABEL_KEPT, LABEL_CHANGED, UNREADABLE)
TRUE_FAILURE, STILL_RIGHT = "true failure", "still right"
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
