"""One pass over a population with a classifier that gives outputs only: central differences in place of gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax

from failure_atlas.statistics.moments import ClassMoments, HalfMeans, Rows
from stages.rank_dimensions.agreement import draw_halves
from stages.rank_dimensions.doubt import draw_doubtful
from stages.rank_dimensions.finite_difference import difference_outputs
from stages.rank_dimensions.population_pass import PopulationScores
from stages.rank_dimensions.scores import Classify, Synthesize
from stages.sample_populations.outcomes import answer_styles


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
