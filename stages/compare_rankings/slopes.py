"""How the slopes behind the gradient scores are had: by backward passes, or by differences where there are none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.ranking.scores import FINITE_DIFFERENCE, Classify, Synthesize, check_samples, difference_outputs
from stages.compare_rankings.gradients import (
    BACKWARD_PASSES,
    LOG_PROBABILITY,
    LOGIT,
    PROBABILITY,
    Differentiate,
    differentiate_outputs,
)
from stages.compare_rankings.params import CompareRankingsParams
from stages.compare_rankings.sizes import check_sizes, count_small_budget

OUTPUTS = (PROBABILITY, LOG_PROBABILITY, LOGIT)


@dataclass(frozen=True)
class Slopes:
    """One way to slopes.

    samples: how many they are computed for.  batch_size: samples at once.  passes: forward passes that a sample costs.
    few: samples of the small budget, None where a sample's slopes cost as much as AttFind's trials.
    told: what metrics and figures say of it; empty for gradients.
    """

    differentiate: Differentiate
    samples: int
    batch_size: int
    passes: int
    few: int | None
    told: dict[str, Any]


@dataclass(frozen=True)
class Differences:
    """As `differentiate_outputs`, by central differences; steps: [D] in raw style units."""

    steps: np.ndarray
    batch_size: int

    def __call__(
        self, synthesize: Synthesize, classify: Classify, styles: torch.Tensor, true_class: torch.Tensor, **_: bool
    ) -> dict[str, torch.Tensor]:
        """Slopes of the true class's softmax, its logarithm and its logit: name -> [N, D] float64 on the CPU.

        All three come from the same passes. Where the classifier answers with probabilities, its logit is their
        logarithm.
        """
        own = true_class[:, None]

        def read(logits: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            wide = logits.double()
            log_probability = wide.log_softmax(dim=1).gather(1, own[row])
            return torch.cat([log_probability.exp(), log_probability, wide.gather(1, own[row])], dim=1)

        shape = tuple(styles.shape)
        found = difference_outputs(
            synthesize,
            classify,
            read,
            styles.cpu().numpy(),
            np.broadcast_to(np.arange(shape[1]), shape),
            np.broadcast_to(self.steps, shape),
            batch_size=self.batch_size,
            device=styles.device,
        )
        return {name: torch.from_numpy(found[:, :, place]) for place, name in enumerate(OUTPUTS)}


def choose_slopes(
    params: Path, section: CompareRankingsParams, classify: Classify, std: np.ndarray, population: int, classes: int
) -> Slopes:
    """Gradients where the classifier gives them, else differences on fewer samples.

    std: [D].  population: how many samples there are.  Raises StageError that names the first key that does not fit.
    """
    dimensions = len(std)
    check_sizes(params, section, population, dimensions, classes)
    if is_differentiable(classify):
        few = count_small_budget(section.attfind_samples, dimensions)
        return Slopes(differentiate_outputs, section.samples, section.batch_size, 1 + BACKWARD_PASSES, few, {})
    samples, step_std = section.finite_difference_samples, section.finite_difference_step_std
    check_samples(params, "compare_rankings.finite_difference_samples", samples, classes, section.samples)
    told = {"score": FINITE_DIFFERENCE, "score_samples": samples, "score_step_std": step_std}
    differences = Differences(step_std * std, section.batch_size)
    return Slopes(differences, samples, 1, 2 * int(np.count_nonzero(std)), None, told)
