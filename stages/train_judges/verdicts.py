"""What a judge says about an image that a classifier is claimed to fail on."""

import numpy as np

TRUE_FAILURE, LABEL_CHANGED, UNREADABLE = "true failure", "label changed", "unreadable"
VERDICTS = (TRUE_FAILURE, LABEL_CHANGED, UNREADABLE)


def give_verdicts(probabilities: np.ndarray, true_class: np.ndarray, confidence: float) -> np.ndarray:
    """The verdict on each claimed failure, as indices into VERDICTS: int64 [N].

    probabilities: [N, classes], the judge's calibrated opinion.  true_class: [N], the class that was meant.
    True failure: the judge sees the meant class with at least this confidence, so the image is right and the
    classifier wrong.  Label changed: it sees another class with at least this confidence.  Unreadable: neither.
    Raises ValueError unless 0.5 < confidence < 1: below, two classes could be seen at once.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0.5 and 1")
    rows = np.arange(len(probabilities))
    meant = probabilities[rows, true_class]
    others = probabilities.copy()
    others[rows, true_class] = -1
    verdicts = np.full(len(probabilities), VERDICTS.index(UNREADABLE), np.int64)
    verdicts[others.max(axis=1, initial=-1) >= confidence] = VERDICTS.index(LABEL_CHANGED)
    verdicts[meant >= confidence] = VERDICTS.index(TRUE_FAILURE)
    return verdicts
