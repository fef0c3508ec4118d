"""Five scores of each style dimension from its gradients, with halves and resamples of the samples, in one pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from failure_atlas.statistics.agreement import draw_halves
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.world.gradients import Differences, differentiate, log_probability, logit, softmax
from failure_atlas.world.show import World

SOFTMAX, ABSOLUTE, LOGIT, LOG_PROBABILITY = "softmax", "absolute", "logit", "log_probability"
TARGETS = {SOFTMAX: softmax, LOGIT: logit, LOG_PROBABILITY: log_probability}
BACKWARD_PASSES = 2  # of a gradient, in forward passes: the usual reckoning of one forward and backward pass as 3


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
    world: World,
    styles: np.ndarray,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    few: int,
    split_halves: int,
    replicates: int,
    random: np.random.Generator,
    steps: np.ndarray | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> RankingPass:
    """Differentiate every sample once.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D].  few: samples of the small budget, classes in equal
    shares.  split_halves: random halvings.  replicates: bootstrap draws of samples within classes.  noise, steps,
    advance: of `average_gradients`.
    """
    first = np.zeros(len(styles))
    first[take_balanced(true_class, few)] = 1
    both = np.stack([np.ones(len(styles)), first])
    halves = draw_halves(true_class, split_halves, random)
    members = np.concatenate([both, halves, ~halves, resample_classes(true_class, replicates, random)])
    moments = ClassMoments(int(true_class.max()) + 1, styles.shape[1])
    weights = {name: weigh_classes(true_class, both) for name in (*TARGETS, ABSOLUTE)}
    weights[SOFTMAX] = weigh_classes(true_class, members)
    means = average_gradients(
        world, styles, true_class, weights, noise=noise, steps=steps, moments=moments, advance=advance
    )
    of_all, of_few = ({name: rows[place] for name, rows in means.items()} for place in (0, 1))
    one, other, drawn = np.split(means[SOFTMAX][2:], [split_halves, 2 * split_halves])
    return RankingPass(
        score_gradients(of_all, std), score_gradients(of_few, std), of_all[SOFTMAX], (one, other), drawn, moments
    )


def average_gradients(
    world: World,
    styles: np.ndarray,
    true_class: np.ndarray,
    weights: Mapping[str, np.ndarray],
    *,
    noise: np.ndarray | None = None,
    steps: np.ndarray | None = None,
    moments: ClassMoments | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, np.ndarray]:
    """Weighted means of gradients over samples: name of the gradient -> [R, D] float64.

    styles: [N, D] float32.  true_class: [N] int64.  weights: gradient -> [R, N]; `softmax` is always among them, and
    `absolute` is |d softmax|.  noise: int64 [N], see `World.show`.  steps: [D], for differences in place of gradients
    (see `differentiate`).  moments: takes the softmax gradients in.  advance: told the number of images after each
    batch.
    Memory grows with R and D, not with N; the result depends on the batch size by float rounding only.
    """
    means = {name: np.zeros((len(rows), styles.shape[1])) for name, rows in weights.items()}
    targets = {name: target for name, target in TARGETS.items() if name in weights}
    along = None if steps is None else Differences.along_all(len(styles), steps)
    parts = differentiate(world, targets, styles, true_class, noise=noise, differences=along, advance=advance)
    for slopes in parts:
        gradients = {name: values.astype(np.float64) for name, values in slopes.gradients.items()}
        gradients[ABSOLUTE] = np.abs(gradients[SOFTMAX])
        for name, mean in means.items():
            mean += weights[name][:, slopes.rows] @ gradients[name]
        if moments is not None:
            moments.add(gradients[SOFTMAX], true_class[slopes.rows])
    return means


def score_gradients(means: Mapping[str, np.ndarray], std: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient scores of each dimension from mean gradients: name -> [D], negative where raising s lowers it.

    means: gradient -> [D].  std: [D]. `paper` is the score of Le Coz et al. (2022, 2.2), per raw style unit; all
    others are per standard deviation. A mean of absolute values has no direction: it takes that of the mean.
    """
    return {
        "paper": means[SOFTMAX],
        "gradient_std": means[SOFTMAX] * std,
        "absolute_gradient_std": np.sign(means[SOFTMAX]) * means[ABSOLUTE] * std,
        "logit_gradient_std": means[LOGIT] * std,
        "log_probability_gradient_std": means[LOG_PROBABILITY] * std,
    }


def take_balanced(true_class: np.ndarray, count: int) -> np.ndarray:
    """The first samples of every class in turn, so that each class has its share: int64 [count], rising.

    true_class: [N] int64. A class that runs out leaves its place to the others. Raises ValueError if count exceeds N.
    """
    if count > len(true_class):
        raise ValueError(f"{count} of {len(true_class)} samples")
    turn = np.empty(len(true_class), np.int64)
    for index in np.unique(true_class):
        members = np.flatnonzero(true_class == index)
        turn[members] = np.arange(len(members))
    return np.sort(np.lexsort((true_class, turn))[:count])


def weigh_classes(true_class: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Weights of weighted means in which every class that is present counts the same: [R, N] float64, rows sum to 1.

    true_class: [N] int64.  members: [R, N], how often each of N samples takes part in each of R means.
    """
    weights = members.astype(np.float64)
    for index in np.unique(true_class):
        own = true_class == index
        total = weights[:, own].sum(axis=1, keepdims=True)
        weights[:, own] /= np.where(total > 0, total, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resample_classes(true_class: np.ndarray, replicates: int, random: np.random.Generator) -> np.ndarray:
    """Bootstrap of samples within their classes: [replicates, N] int64, how often each sample was drawn."""
    drawn = np.zeros((replicates, len(true_class)), np.int64)
    for index in np.unique(true_class):
        members = np.flatnonzero(true_class == index)
        drawn[:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), replicates)
    return drawn
