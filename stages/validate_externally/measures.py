"""What is measured of one classifier, on generated images and on real ones, and again on samples drawn anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from failure_atlas.curves.curve import bin_accuracy, measure_area, measure_shift_area, weigh_area
from failure_atlas.statistics.estimates import mean, proportion
from failure_atlas.statistics.rank_correlation import correlate_spearman

ACCURACY, SHIFT, DISTANCE, AVOIDABLE = "population accuracy", "shift area", "distance area", "avoidable area"
FAILURE = "shift to failure"
MEASURES = (DISTANCE, SHIFT, AVOIDABLE, FAILURE, ACCURACY)


@dataclass(frozen=True)
class Generated:
    """Outcomes of one classifier on generated images.

    well: bool [N], right about each sample.  distance: [N], from the centre of the well-classified samples of the own
    class, in std.  correct: bool [T, S], right after each shift, from 0.  avoidable: bool [T, S], wrong while the judge
    is right.
    """

    well: np.ndarray
    distance: np.ndarray
    correct: np.ndarray
    avoidable: np.ndarray

    def measure(self, shifts_std: np.ndarray, bins: int, tail_quantile: float) -> dict[str, dict[str, Any]]:
        """Each of MEASURES, in their order, as `{value, low, high, n}`; shifts_std: [T]."""
        return {
            DISTANCE: measure_area(bin_accuracy(self.distance, self.well, bins, tail_quantile)),
            SHIFT: measure_shift_area(shifts_std, self.correct),
            AVOIDABLE: measure_shift_area(shifts_std, self.avoidable),
            FAILURE: mean(find_failure(shifts_std, self.correct)[self.correct[0]]),
            ACCURACY: proportion(self.well),
        }


def find_failure(shifts_std: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """The shift at which each sample is first wrong, [S]; the largest one where it never is; correct: bool [T, S]."""
    wrong = ~correct
    return np.asarray(np.where(wrong.any(axis=0), shifts_std[wrong.argmax(axis=0)], shifts_std[-1]))


def compare_classes(
    well: np.ndarray, true_class: np.ndarray, right: np.ndarray, labels: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Do the classes in which a classifier fails on generated images fail on real ones? Spearman over the classes.

    well: bool [K, N] of K classifiers on generated samples.  true_class: [N].  right: bool [K, M] on real images.
    labels: [M].  class_failures: mean over the classifiers with its 95 % Student interval.  class_failures_of_others:
    the same with the generated images of all other classifiers, which know of this one nothing but what is hard for
    all.  Classifiers that share their training images are no independent draws: the intervals are on the narrow side.
    """
    classes = np.unique(labels)
    generated, real = (
        np.stack([correct[:, truth == label].mean(axis=1) for label in classes], axis=1)
        for correct, truth in ((well, true_class), (right, labels))
    )
    others = (generated.sum(axis=0) - generated) / (len(generated) - 1)
    pairs = {"class_failures": generated, "class_failures_of_others": others}
    return {
        name: mean(correlate_spearman(each[:, None], real[:, None])[:, 0, 0], n=len(real))
        for name, each in pairs.items()
    }


def measure_real(correct: np.ndarray, weights: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Accuracy on real images as `{value, low, high, n}`: Wilson in one condition, Student's for an average.

    correct: bool [C, M], the same M images in each condition.  weights: name -> [C], see `weigh_conditions`.
    """
    accuracies = {}
    for name, weight in weights.items():
        single = np.flatnonzero(weight)
        if len(single) == 1:
            accuracies[name] = proportion(correct[single[0]])
            continue
        average = mean(weight @ correct)  # of each image first: its conditions share the digit, so their errors add up
        accuracies[name] = average | {"low": max(0.0, average["low"]), "high": min(1.0, average["high"])}
    return accuracies


def resample_generated(
    classifiers: Sequence[Generated],
    shifts_std: np.ndarray,
    replicates: int,
    random: np.random.Generator,
    *,
    bins: int,
    tail_quantile: float,
) -> np.ndarray:
    """MEASURES of K classifiers on samples drawn with replacement, the same draw for all: [R, A, K].

    The ranking and the centres stay as they are: they are part of what is measured, not of its error.
    """
    samples, shifted = len(classifiers[0].well), classifiers[0].correct.shape[1]
    result = np.empty((replicates, len(MEASURES), len(classifiers)))
    counts, shift_counts = (_draw_counts(n, replicates, random) for n in (samples, shifted))
    weights = weigh_area(shifts_std)
    for place, one in enumerate(classifiers):
        started = one.correct[0]
        failed_at = find_failure(shifts_std, one.correct) * started
        binned = (
            bin_accuracy(one.distance.repeat(count), one.well.repeat(count), bins, tail_quantile) for count in counts
        )
        drawn = {
            ACCURACY: counts @ one.well / samples,
            SHIFT: shift_counts @ (weights @ one.correct) / shifted,
            DISTANCE: [measure_area(curve)["value"] for curve in binned],
            AVOIDABLE: shift_counts @ (weights @ one.avoidable) / shifted,
            FAILURE: shift_counts @ failed_at / np.maximum(shift_counts @ started, 1),
        }
        result[:, :, place] = np.stack([drawn[measure] for measure in MEASURES], axis=1)
    return result


def resample_real(
    correct: Sequence[np.ndarray], weights: Mapping[str, np.ndarray], replicates: int, random: np.random.Generator
) -> np.ndarray:
    """Accuracies of K classifiers on real images drawn with replacement, the same draw for all: [R, B, K].

    correct: of each classifier bool [C, M].  weights: name -> [C], B of them.
    """
    images = correct[0].shape[1]
    counts = _draw_counts(images, replicates, random)
    matrix = np.stack(list(weights.values()))
    return np.stack([counts @ (matrix @ one).T / images for one in correct], axis=-1)


def _draw_counts(n: int, replicates: int, random: np.random.Generator) -> np.ndarray:
    return random.multinomial(n, np.full(n, 1 / n), size=replicates)
