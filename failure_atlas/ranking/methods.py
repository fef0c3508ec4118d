"""Ways to choose directions, all in one form: ordered directions of equal length, each turned so that the score falls.

By five gradient scores, by AttFind, at random, and by principal components.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA

from failure_atlas.ranking.attfind import Effects, count_trials, score_effects
from failure_atlas.ranking.gradient_scores import RankingPass
from failure_atlas.statistics.agreement import order_dimensions
from failure_atlas.stylegan2.generator import Generator

FULL, SMALL = "full", "1/50"
GRADIENTS = ("paper", "gradient_std", "absolute_gradient_std", "logit_gradient_std", "log_probability_gradient_std")
ATTFIND = ("attfind", "attfind_probability")


@dataclass(frozen=True)
class Method:
    """One way to choose directions.

    steps: [G, K, D] in population stds, the first direction first, each of length 1 or 0 (no direction): G draws of a
    random method, else 1.  budget: how much it was allowed to see.  samples, forward_passes: what it saw and cost.
    """

    name: str
    budget: str
    samples: int
    forward_passes: int
    steps: np.ndarray

    @property
    def label(self) -> str:
        """Name in figures and messages."""
        return self.name if self.budget == FULL else f"{self.name} ({self.budget})"

    @property
    def draws(self) -> int:
        """Draws of a random method, each of which moves its share of the samples; 1 for any other."""
        return len(self.steps)

    @property
    def is_measured_everywhere(self) -> bool:
        """Whether it is measured in all cells; versions of another method are measured in the headline cell only."""
        return self.budget == FULL and self.name != ATTFIND[1]


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
    trials = count_trials(attfind_samples, len(slope))

    def by_gradient(name: str, steps: np.ndarray, budget: str = FULL, seen: int = samples) -> Method:
        return Method(name, budget, seen, seen * passes, steps)

    methods = [by_gradient(name, step_top(score, count)) for name, score in gradients.scores.items()]
    if few is not None:
        methods += [by_gradient(name, step_top(own, count), SMALL, few) for name, own in gradients.few_scores.items()]
    for name, effect in zip(ATTFIND, (effects.logit, effects.probability), strict=True):
        methods.append(Method(name, FULL, attfind_samples, trials, step_top(score_effects(effect), count)))
    methods.append(by_gradient("random", step_random(slope, count, random_draws, random)))
    return methods + [by_gradient(name, step_directions(own[:count], slope)) for name, own in principal.items()]


def step_dimensions(scores: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Steps along single dimensions against the sign of their scores: [K, D]; scores: [D], dimensions: [K] int64."""
    steps = np.zeros((len(dimensions), len(scores)))
    steps[np.arange(len(dimensions)), dimensions] = -np.sign(scores[dimensions])
    return steps


def step_top(scores: np.ndarray, count: int) -> np.ndarray:
    """Steps along the dimensions of largest |score|: [1, count, D]."""
    return step_dimensions(scores, order_dimensions(scores)[:count])[None]


def step_random(scores: np.ndarray, count: int, draws: int, random: np.random.Generator) -> np.ndarray:
    """Steps along random dimensions, against the sign of the scores, so that only the choice is random: [G, K, D]."""
    return np.stack([step_dimensions(scores, random.permutation(len(scores))[:count]) for _ in range(draws)])


def step_directions(directions: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Steps along given directions [K, D] in stds, scaled to length 1, turned against the gradient [D] per std."""
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = np.divide(directions, length, out=np.zeros_like(directions), where=length > 0)
    return np.asarray(-np.sign(unit @ gradient)[:, None] * unit)[None]


def join_steps(steps: np.ndarray, k: int) -> np.ndarray:
    """The move along the first k directions together, in stds: [G, D]; steps: [G, K, D].

    Its length is sqrt(k) whatever the directions, as that of k dimensions that move by one std each: directions that
    are not at right angles get no longer and no shorter way than others. Directions of length 0 do not count.
    """
    chosen = steps[:, :k]
    total = chosen.sum(axis=1)
    wanted = np.sqrt(np.linalg.norm(chosen, axis=2).round().sum(axis=1))
    length = np.linalg.norm(total, axis=1)
    scale = np.divide(wanted, length, out=np.zeros_like(length), where=length > 0)
    return np.asarray(total * scale[:, None])


def single_steps(method: Method, count: int) -> np.ndarray:
    """The first directions one by one, [at most count, D]; the draws of a random method give the same number each."""
    each = -(-count // method.draws)
    return np.asarray(method.steps[:, :each].reshape(-1, method.steps.shape[2])[:count])


def find_principal(features: np.ndarray, count: int) -> np.ndarray:
    """Principal directions of features [N, F] by falling variance, unit rows: [min(count, F, N), F] float64.

    The unsupervised baseline, of W and of S (GANSpace; Härkönen et al. 2020).
    """
    count = min(count, *features.shape)
    # From the covariance, whose eigenvectors are found without a random start.
    pca = PCA(count, svd_solver="covariance_eigh").fit(np.asarray(features, np.float64))
    return np.asarray(pca.components_)


def map_directions(generator: Generator, directions: np.ndarray) -> np.ndarray:
    """What directions in W [K, w_dim] change in S, through the affine layers: [K, D] float64 in raw style units."""
    device = next(generator.parameters()).device
    with torch.no_grad():
        w = torch.from_numpy(directions.astype(np.float32)).to(device)
        change = generator.map_styles(w) - generator.map_styles(torch.zeros_like(w[:1]))
    return np.asarray(change.cpu().numpy().astype(np.float64))
