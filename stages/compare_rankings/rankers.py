"""All rankings that are compared, as methods."""

from collections.abc import Mapping

import numpy as np

from stages.compare_rankings.attfind import Effects, count_passes, score_effects
from stages.compare_rankings.methods import (
    FULL,
    Method,
    build_gradient_methods,
    step_directions,
    step_random,
    step_top,
)
from stages.compare_rankings.ranking_pass import RankingPass

SMALL = "1/50"
GRADIENTS = ("paper", "gradient_std", "absolute_gradient_std", "logit_gradient_std", "log_probability_gradient_std")
ATTFIND = ("attfind", "attfind_probability")


def is_measured_everywhere(method: Method) -> bool:
    """Whether a method is measured in all cells; versions of another one are measured in the headline cell only."""
    return method.budget == FULL and method.name != ATTFIND[1]


def build_methods(
    gradients: RankingPass,
    effects: Effects,
    principal: Mapping[str, np.ndarray],
    *,
    samples: int,
    passes: int,
    few: int | None,
    attfind_samples: int,
    count: int,
    random_draws: int,
    random: np.random.Generator,
) -> list[Method]:
    """Gradient scores at the full and the small budget, AttFind by logit and by softmax, random and principal ones.

    principal: name -> directions [K, D] in stds.  passes: forward passes of one sample's gradient; a score alone needs
    one backward pass, and is charged for it, though all come from one run.  few: samples of the small budget, None
    where there is none.  count: directions that are needed.  Random and principal directions are turned against the
    mean gradient, for which they are charged too.
    """
    slope = gradients.scores["gradient_std"]
    methods = [*build_gradient_methods(gradients.scores, count, FULL, samples, passes)]
    if few is not None:
        methods += build_gradient_methods(gradients.few_scores, count, SMALL, few, passes)
    for name, effect in zip(ATTFIND, (effects.logit, effects.probability), strict=True):
        steps = step_top(score_effects(effect), count)
        methods.append(Method(name, FULL, attfind_samples, count_passes(attfind_samples, len(slope)), steps))
    steps = step_random(slope, count, random_draws, random)
    methods.append(Method("random", FULL, samples, samples * passes, steps))
    for name, directions in principal.items():
        methods.append(Method(name, FULL, samples, samples * passes, step_directions(directions[:count], slope)))
    return methods
