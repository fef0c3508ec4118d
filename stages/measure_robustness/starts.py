"""Where walks start: class means and a draw of true samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream

MEAN = "mean"


@dataclass(frozen=True)
class Starts:
    """N starts: the mean style of each class, then the samples, class by class.

    styles: [N, D] float32.  true_class: [N] int64.  names: `mean`, or the index of a population sample.
    place: [N] int64, 0, 1, ... within the draw of a class; -1 for a mean.
    """

    styles: np.ndarray
    true_class: np.ndarray
    names: list[str]
    place: np.ndarray

    @property
    def is_mean(self) -> np.ndarray:
        """[N] bool."""
        return np.asarray(self.place < 0)


def share_equally(count: int, classes: int) -> np.ndarray:
    """How many of `count` each class gets, [classes] int64; the first classes get one more where it does not divide."""
    return np.asarray(count // classes + (np.arange(classes) < count % classes), np.int64)


def draw_starts(
    styles: np.ndarray, true_class: np.ndarray, class_names: Sequence[str], samples: int, seed: int
) -> Starts:
    """Class means and a random draw of samples, classes in equal shares; a larger draw holds every smaller one.

    styles: [N, D] float32.  true_class: [N] int64.
    Raises StageError if a class has fewer samples than its share.
    """
    classes = len(class_names)
    rows, places = [], []
    for label, share in enumerate(share_equally(samples, classes)):
        members = np.flatnonzero(true_class == label)
        if len(members) < share:
            raise StageError(
                f"measure_robustness.samples: got {samples}, {share} of class {class_names[label]}; the population has "
                f"{len(members)}; lower it, or raise sample_populations.samples"
            )
        rows.append(numpy_stream(seed, "samples", label).permutation(members)[:share])
        places.append(np.arange(share))
    chosen = np.concatenate(rows)
    means = [styles[true_class == label].mean(axis=0, dtype=np.float64) for label in range(classes)]
    return Starts(
        np.concatenate([np.array(means, np.float32), styles[chosen]]),
        np.concatenate([np.arange(classes), true_class[chosen]]),
        [MEAN] * classes + [str(index) for index in chosen],
        np.concatenate([np.full(classes, -1), *places]),
    )


def choose_for_sets(starts: Starts, walked: np.ndarray, samples: int) -> np.ndarray:
    """Which starts get a greedy set, [N] bool: the means and, class by class, the first samples drawn that are walked.

    walked: [N] bool.  samples: how many in all; a class with too few walked samples gives fewer.
    """
    chosen: np.ndarray = starts.is_mean & walked
    for label, share in enumerate(share_equally(samples, int(starts.is_mean.sum()))):
        chosen[np.flatnonzero(~starts.is_mean & walked & (starts.true_class == label))[:share]] = True
    return chosen
