"""What is measured of one classifier: on generated images, and on real ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from failure_atlas.curves.curve import bin_accuracy, measure_area, measure_shift_area
from failure_atlas.statistics.estimates import mean, proportion

ACCURACY, SHIFT, DISTANCE, AVOIDABLE = "population accuracy", "shift area", "distance area", "avoidable area"
MEASURES = (DISTANCE, SHIFT, AVOIDABLE, ACCURACY)

Answer = Callable[[torch.Tensor], torch.Tensor]  # images [N, C, H, W] -> scores [N, classes]


@dataclass(frozen=True)
class Binning:
    """Equal-count bins of distance, over this share of the samples, the nearest first."""

    bins: int
    tail_quantile: float


@dataclass(frozen=True)
class Generated:
    """Outcomes of one classifier on generated images.

    well: bool [N], right about each sample.  distance: [N], from the centre of the well-classified samples of the own
    class, in std.  correct: bool [T, S], right after each shift.  avoidable: bool [T, S], wrong while the judge is
    right.
    """

    well: np.ndarray
    distance: np.ndarray
    correct: np.ndarray
    avoidable: np.ndarray


def shift_samples(
    synthesize: Answer,
    classifier: Answer,
    judge: Answer,
    styles: np.ndarray,
    move: np.ndarray,
    true_class: np.ndarray,
    shifts_std: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the classifier, and whether the judge, is right about each image after each shift: bool [T, S] each.

    synthesize: styles -> images.  styles: [S, D] float32.  move: [D] float32, the change of s for a shift of one std.
    Each image is made once and shown to both.
    """
    right = np.empty((2, len(shifts_std), len(styles)), bool)
    with torch.no_grad():
        for step, shift in enumerate(shifts_std):
            for first in range(0, len(styles), batch_size):
                rows = slice(first, first + batch_size)
                moved = torch.from_numpy(styles[rows] + np.float32(shift) * move)
                images = synthesize(moved.to(device))
                for place, answer in enumerate((classifier, judge)):
                    right[place, step, rows] = answer(images).argmax(1).cpu().numpy() == true_class[rows]
                advance(len(moved))
    return right[0], right[1]


def measure_generated(generated: Generated, shifts_std: np.ndarray, binning: Binning) -> dict[str, dict[str, Any]]:
    """Each of MEASURES, in their order, as `{value, low, high, n}`."""
    return {
        DISTANCE: measure_distance_area(generated.distance, generated.well, binning),
        SHIFT: measure_shift_area(shifts_std, generated.correct),
        AVOIDABLE: measure_shift_area(shifts_std, generated.avoidable),
        ACCURACY: proportion(generated.well),
    }


def measure_distance_area(distance: np.ndarray, well: np.ndarray, binning: Binning) -> dict[str, Any]:
    """Area under accuracy against distance as `{value, low, high, n}`; distance: [N], well: bool [N]."""
    return measure_area(bin_accuracy(distance, well, binning.bins, binning.tail_quantile))


def measure_real(correct: np.ndarray, weights: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
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
