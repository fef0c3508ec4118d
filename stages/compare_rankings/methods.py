"""A ranking as what is done with it: ordered directions of equal length, each turned so that the score falls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from failure_atlas.statistics.agreement import order_dimensions
from stages.compare_rankings.draws import assign_draws

FULL = "full"


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
    groups = len(method.steps)
    return np.asarray(method.steps[:, : -(-count // groups)].reshape(-1, method.steps.shape[2])[:count])


def spread_groups(moves: np.ndarray, samples: int) -> np.ndarray:
    """A move for each sample: [samples, D]; moves: [G, D]. Each draw serves one run of samples, of equal size."""
    return np.asarray(moves[assign_draws(samples, len(moves))])


def build_gradient_methods(
    scores: Mapping[str, np.ndarray], count: int, budget: str, samples: int, passes: int
) -> Iterator[Method]:
    """A method for each gradient score; passes: forward passes of one sample's gradient."""
    for name, values in scores.items():
        yield Method(name, budget, samples, samples * passes, step_top(values, count))


def find_method(methods: Sequence[Method], label: str) -> Method:
    """The method of that label."""
    return next(method for method in methods if method.label == label)
