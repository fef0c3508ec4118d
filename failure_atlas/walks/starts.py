"""Where walks start: the mean style of each class, and population samples on request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEAN = "mean"


@dataclass(frozen=True)
class Starts:
    """styles: [S, D] float32.  true_class: [S] int64.  names: `mean`, or the index of a population sample."""

    styles: np.ndarray
    true_class: np.ndarray
    names: list[str]


def choose_starts(styles: np.ndarray, true_class: np.ndarray, classes: int, samples: Sequence[int]) -> Starts:
    """The mean style of each class, then the named samples; styles: [N, D] float32, true_class: [N] int64."""
    means = [styles[true_class == index].mean(axis=0, dtype=np.float64) for index in range(classes)]
    chosen = np.array(samples, np.int64)
    return Starts(
        np.concatenate([np.array(means, np.float32), styles[chosen]]),
        np.concatenate([np.arange(classes), true_class[chosen]]),
        [MEAN] * classes + [str(index) for index in samples],
    )
