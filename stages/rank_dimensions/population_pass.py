"""One pass over a population: gradients summed up, classifier outputs kept."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.statistics.moments import ClassMoments, HalfMeans, Rows
from stages.rank_dimensions.scores import Classify, Synthesize, differentiate_scores

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PopulationScores:
    """What one pass leaves.

    gradients: moments of the true-class gradient.  halves: its class means in random halves.
    gradient_mass: [N] float64, sum over dimensions of |gradient| of each sample.  logits: [N, C] float32.
    """

    gradients: ClassMoments
    halves: HalfMeans
    gradient_mass: np.ndarray
    logits: np.ndarray


def score_population(
    synthesize: Synthesize,
    classify: Classify,
    styles: np.ndarray | Rows,
    true_class: np.ndarray,
    halves: np.ndarray,
    *,
    classes: int,
    batch_size: int,
    device: torch.device = CPU,
    on_batch: Callable[[int], None] = lambda _: None,
) -> PopulationScores:
    """Differentiate the true-class score of every sample and sum up per class.

    styles: [N, D] float32.  true_class: [N] int64.  halves: [R, N] bool.
    on_batch: told the number of samples after each batch.
    The result depends on batch_size by float rounding only.  Raises ValueError if N is 0 or the lengths differ.
    """
    if not 0 < len(styles) == len(true_class) == halves.shape[1]:
        raise ValueError(f"{len(styles)} styles, {len(true_class)} classes, halves of {halves.shape[1]}")
    moments = ClassMoments(classes, styles.shape[1])
    half_means = HalfMeans(halves, classes, styles.shape[1])
    mass, logits = np.empty(len(styles)), np.empty((len(styles), classes), np.float32)
    for first in range(0, len(styles), batch_size):
        rows = slice(first, first + batch_size)
        batch = torch.from_numpy(styles[rows]).to(device)
        labels = torch.from_numpy(true_class[rows]).to(device)
        batch_gradients, batch_logits = differentiate_scores(synthesize, classify, batch, labels)
        gradients = batch_gradients.cpu().numpy()
        moments.add(gradients, true_class[rows])
        half_means.add(gradients, true_class[rows], first)
        mass[rows] = np.abs(gradients).sum(axis=1, dtype=np.float64)
        logits[rows] = batch_logits.cpu().numpy()
        on_batch(len(gradients))
    return PopulationScores(moments, half_means, mass, logits)
