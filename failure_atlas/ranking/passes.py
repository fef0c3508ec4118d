"""One pass over a population: gradients summed up, classifier outputs kept.

One pass over a population with a classifier that gives outputs only: central differences in place of gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax

from failure_atlas.populations.outcomes import answer_styles
from failure_atlas.ranking.doubt import draw_doubtful
from failure_atlas.ranking.scores import Classify, Synthesize, difference_outputs, differentiate_scores
from failure_atlas.statistics.agreement import draw_halves
from failure_atlas.statistics.moments import ClassMoments, HalfMeans, Rows

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


@dataclass(frozen=True)
class DifferenceScores:
    """What the pass leaves: the scores, how many samples they rest on, and what it cost in forward passes."""

    scores: PopulationScores
    samples: int
    forward_passes: int


def difference_population(
    synthesize: Synthesize,
    classify: Classify,
    styles: np.ndarray | Rows,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    samples: int,
    step_std: float,
    split_halves: int,
    draw: np.random.Generator,
    halve: np.random.Generator,
    classes: int,
    batch_size: int,
    device: torch.device,
    on_batch: Callable[[int], None] = lambda _: None,
) -> DifferenceScores:
    """Classify every sample, draw some in proportion to doubt, and difference their true-class softmax.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D]; the step along a dimension is step_std of it, and a
    dimension that does not vary scores 0.  samples: how many are drawn.  draw, halve: random streams.
    on_batch: told the number of forward passes after each batch; `count_passes` tells how many there will be.
    The moments are of weighted slopes, whose mean in a class estimates that of the whole population's slopes (see
    `draw_doubtful`). The mass is that of the weighted slopes, too.
    """
    logits = answer_styles(synthesize, classify, styles, batch_size=batch_size, device=device, advance=on_batch)
    probability = softmax(logits.astype(np.float64), axis=1)[np.arange(len(styles)), true_class]
    rows, weights = draw_doubtful(probability, true_class, samples, draw)
    own_class = true_class[rows]
    labels = torch.from_numpy(own_class).to(device)

    def read(outputs: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        return outputs.double().softmax(dim=1).gather(1, labels[which][:, None])

    shape = (len(rows), styles.shape[1])
    slopes = difference_outputs(
        synthesize,
        classify,
        read,
        styles[rows],
        np.broadcast_to(np.arange(shape[1]), shape),
        np.broadcast_to(step_std * std, shape),
        batch_size=batch_size,
        device=device,
        on_batch=on_batch,
    )[:, :, 0]
    slopes *= weights[:, None]
    moments = ClassMoments(classes, shape[1])
    moments.add(slopes, own_class)
    halves = HalfMeans(draw_halves(own_class, split_halves, halve), classes, shape[1])
    halves.add(slopes, own_class, 0)
    scores = PopulationScores(moments, halves, np.abs(slopes).sum(axis=1), logits)
    return DifferenceScores(scores, len(rows), count_passes(len(styles), len(rows), std))


def count_passes(population: int, samples: int, std: np.ndarray) -> int:
    """Forward passes: every sample once, and two for each of some samples and each dimension that varies."""
    return population + 2 * samples * int(np.count_nonzero(std))
