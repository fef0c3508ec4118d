"""How much each style dimension moves the true-class softmax, over a population (Le Coz et al. 2022, 2.2).

By gradients in one pass; or by central differences on part of the population, where a classifier gives no gradients.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.populations.sampling import LEAST_PER_CLASS
from failure_atlas.ranking.doubt import draw_doubtful
from failure_atlas.statistics.agreement import HalfMeans, draw_halves
from failure_atlas.statistics.moments import ClassMoments, Rows
from failure_atlas.world.gradients import Differences, Slopes, differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, Classify, World, select_seeds

SCORE = "softmax"


@dataclass(frozen=True)
class PopulationScores:
    """What one pass leaves.

    gradients: moments of the true-class gradient.  halves: its class means in random halves.
    gradient_mass, gradient_squares: [N] float64, sum over dimensions of |gradient| and of its square, of each sample.
    true_class: [N] int64, theirs.  logits: [all samples, classes] float32.
    """

    gradients: ClassMoments
    halves: HalfMeans
    gradient_mass: np.ndarray
    gradient_squares: np.ndarray
    true_class: np.ndarray
    logits: np.ndarray


def score_population(
    world: World,
    styles: np.ndarray | Rows,
    true_class: np.ndarray,
    halves: np.ndarray | None = None,
    *,
    noise: np.ndarray | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> PopulationScores:
    """Differentiate the true-class softmax of every sample and sum up per class.

    styles: [N, D] float32.  true_class: [N] int64.  halves: [R, N] bool, of which the agreement is to be told.
    noise: int64 [N], see `World.show`.  advance: told the number of samples after each batch.
    The result depends on the batch size by float rounding only.  Raises ValueError if N is 0 or the lengths differ.
    """
    halves = np.zeros((0, len(styles)), bool) if halves is None else halves
    if not 0 < len(styles) == len(true_class) == halves.shape[1]:
        raise ValueError(f"{len(styles)} styles, {len(true_class)} classes, halves of {halves.shape[1]}")
    parts = differentiate(world, {SCORE: softmax}, styles, true_class, noise=noise, advance=advance)
    return _sum_up(world, parts, np.ones(len(styles)), true_class, halves, styles.shape[1])


def difference_population(
    world: World,
    styles: np.ndarray | Rows,
    true_class: np.ndarray,
    std: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    samples: int,
    step_std: float,
    split_halves: int,
    draw: np.random.Generator,
    halve: np.random.Generator,
    advance: Callable[[int], object] = lambda _: None,
) -> PopulationScores:
    """Classify every sample, draw some in proportion to doubt, and difference their true-class softmax.

    styles: [N, D] float32.  true_class: [N] int64.  std: [D]; the step along a dimension is step_std of it, and a
    dimension that does not vary scores 0.  noise: int64 [N], see `World.show`.  samples: how many are drawn.  draw,
    halve: random streams.
    advance: told the number of forward passes after each batch; `count_passes` tells how many there will be.
    The moments are of weighted slopes, whose mean in a class estimates that of the whole population's slopes (see
    `draw_doubtful`). Mass and squares are of the weighted slopes, too, of the drawn samples; logits are of all.
    """
    seen = world.show(styles, [CLASSIFIER], noise=noise, keep_images=False, advance=advance)
    rows, weights = draw_doubtful(seen.score(true_class), true_class, samples, draw)
    own_class, along = true_class[rows], Differences.along_all(len(rows), step_std * std)
    own_noise = select_seeds(noise, rows)
    slopes = differentiate(
        world, {SCORE: softmax}, styles[rows], own_class, noise=own_noise, differences=along, advance=advance
    )
    scores = _sum_up(world, slopes, weights, own_class, draw_halves(own_class, split_halves, halve), len(std))
    return replace(scores, logits=seen.logits[CLASSIFIER].astype(np.float32))


def count_passes(population: int, samples: int, std: np.ndarray) -> int:
    """Forward passes: every sample once, and each of some again, once as it is and twice for each varying dimension."""
    return population + samples * (2 * int(np.count_nonzero(std)) + 1)


def _sum_up(
    world: World,
    parts: Iterable[Slopes],
    weights: np.ndarray,
    true_class: np.ndarray,
    members: np.ndarray,
    dimensions: int,
) -> PopulationScores:
    classes, logits = max(world.classes, int(true_class.max()) + 1), []
    mass, squares = np.empty((2, len(true_class)))
    moments, halves = ClassMoments(classes, dimensions), HalfMeans(members, true_class, classes, dimensions)
    for slopes in parts:
        gradients = slopes.gradients[SCORE] * weights[slopes.rows, None]
        moments.add(gradients, true_class[slopes.rows])
        halves.add(gradients, true_class[slopes.rows], slopes.rows.start)
        mass[slopes.rows] = np.abs(gradients).sum(axis=1, dtype=np.float64)
        squares[slopes.rows] = np.square(gradients).sum(axis=1, dtype=np.float64)
        logits.append(slopes.logits.astype(np.float32))
    return PopulationScores(moments, halves, mass, squares, true_class, np.concatenate(logits))


Score = Literal["auto", "gradient", "finite_difference"]
AUTO: Score = "auto"
GRADIENT: Score = "gradient"
FINITE_DIFFERENCE: Score = "finite_difference"


def choose_score(wanted: Score, classify: Classify, params: Path, classifier: Path) -> Score:
    """gradient or finite_difference; `auto` takes gradients where the classifier gives them.

    Raises StageError if gradients are wanted of a classifier that gives none.
    """
    differentiable = is_differentiable(classify)
    if wanted == AUTO:
        return GRADIENT if differentiable else FINITE_DIFFERENCE
    if wanted == GRADIENT and not differentiable:
        raise StageError(
            f"{params}: rank_dimensions.score: got '{GRADIENT}', but {classifier} is a black box and gives none; "
            f"allowed for it: '{AUTO}', '{FINITE_DIFFERENCE}'"
        )
    return wanted


def check_samples(params: Path, key: str, samples: int, classes: int, population: int) -> None:
    """Raise StageError unless every class gets the samples that its two halves need; key: with its section."""
    least = LEAST_PER_CLASS * classes
    if not least <= samples <= population:
        raise StageError(f"{params}: {key}: got {samples}; allowed: {least} to {population}, {LEAST_PER_CLASS} a class")
