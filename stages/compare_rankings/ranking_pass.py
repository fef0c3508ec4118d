"""What the gradients of one set of samples say: for all of them, the first few, halves and resamples, in one pass."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.ranking.scores import Classify, Synthesize
from failure_atlas.statistics.agreement import draw_halves
from failure_atlas.statistics.moments import ClassMoments
from stages.compare_rankings.gradients import (
    ABSOLUTE,
    LOG_PROBABILITY,
    LOGIT,
    PROBABILITY,
    Differentiate,
    average_gradients,
    differentiate_outputs,
    score_gradients,
)
from stages.compare_rankings.samples import resample_classes, take_balanced, weigh_classes

CPU = torch.device("cpu")


@dataclass(frozen=True)
class RankingPass:
    """Scores by name -> [D], of all samples and of the first few, and means of the softmax gradient.

    mean: [D].  halves: two of [R, D].  replicates: [B, D].  moments: per class.  All in raw style units.
    """

    scores: dict[str, np.ndarray]
    few_scores: dict[str, np.ndarray]
    mean: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    replicates: np.ndarray
    moments: ClassMoments


def pass_gradients(
    synthesize: Synthesize,
    classify: Classify,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    few: int,
    split_halves: int,
    replicates: int,
    random: np.random.Generator,
    batch_size: int,
    device: torch.device = CPU,
    on_batch: Callable[[int], None] = lambda _: None,
    differentiate: Differentiate = differentiate_outputs,
) -> RankingPass:
    """Differentiate every sample once.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D].  few: samples of the small budget, classes in equal
    shares.  split_halves: random halvings.  replicates: bootstrap draws of samples within classes.
    """
    first = np.zeros(len(styles))
    first[take_balanced(true_class, few)] = 1
    both = np.stack([np.ones(len(styles)), first])
    halves = draw_halves(true_class, split_halves, random)
    members = np.concatenate([both, halves, ~halves, resample_classes(true_class, replicates, random)])
    weights = {PROBABILITY: members, ABSOLUTE: both, LOGIT: both, LOG_PROBABILITY: both}
    moments = ClassMoments(int(true_class.max()) + 1, styles.shape[1])
    means = average_gradients(
        synthesize,
        classify,
        styles,
        true_class,
        {name: weigh_classes(true_class, rows) for name, rows in weights.items()},
        batch_size=batch_size,
        device=device,
        on_batch=on_batch,
        on_gradients=moments.add,
        differentiate=differentiate,
    )
    of_all, of_few = ({name: rows[place] for name, rows in means.items()} for place in (0, 1))
    ends = 2 + split_halves * np.arange(3)
    one, other = (means[PROBABILITY][ends[half] : ends[half + 1]] for half in (0, 1))
    return RankingPass(
        score_gradients(of_all, std),
        score_gradients(of_few, std),
        of_all[PROBABILITY],
        (one, other),
        means[PROBABILITY][ends[2] :],
        moments,
    )
