"""The same measures on samples drawn again: how far errors of measurement alone move them."""

from collections.abc import Sequence

import numpy as np

from failure_atlas.curves.curve import weigh_area
from stages.validate_externally.measures import (
    ACCURACY,
    AVOIDABLE,
    DISTANCE,
    MEASURES,
    SHIFT,
    Binning,
    Generated,
    measure_distance_area,
)


def resample_generated(
    classifiers: Sequence[Generated],
    shifts_std: np.ndarray,
    binning: Binning,
    replicates: int,
    random: np.random.Generator,
) -> np.ndarray:
    """MEASURES of K classifiers on samples drawn with replacement, the same draw for all: [R, A, K].

    The ranking and the centres stay as they are: they are part of what is measured, not of its error.
    """
    samples, shifted = len(classifiers[0].well), classifiers[0].correct.shape[1]
    result = np.empty((replicates, len(MEASURES), len(classifiers)))
    counts = random.multinomial(samples, np.full(samples, 1 / samples), size=replicates)
    shift_counts = random.multinomial(shifted, np.full(shifted, 1 / shifted), size=replicates)
    weights = weigh_area(shifts_std)
    for place, one in enumerate(classifiers):
        drawn = {
            ACCURACY: counts @ one.well / samples,
            SHIFT: shift_counts @ (weights @ one.correct) / shifted,
            DISTANCE: [
                measure_distance_area(one.distance.repeat(count), one.well.repeat(count), binning)["value"]
                for count in counts
            ],
            AVOIDABLE: shift_counts @ (weights @ one.avoidable) / shifted,
        }
        result[:, :, place] = np.stack([drawn[measure] for measure in MEASURES], axis=1)
    return result


def resample_real(
    correct: Sequence[np.ndarray], weights: dict[str, np.ndarray], replicates: int, random: np.random.Generator
) -> np.ndarray:
    """Accuracies of K classifiers on real images drawn with replacement, the same draw for all: [R, B, K].

    correct: of each classifier bool [C, M].  weights: name -> [C], B of them.
    """
    images = correct[0].shape[1]
    counts = random.multinomial(images, np.full(images, 1 / images), size=replicates)
    matrix = np.stack(list(weights.values()))
    return np.stack([counts @ (matrix @ one).T / images for one in correct], axis=-1)
