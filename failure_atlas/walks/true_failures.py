"""The first true failure on a walk: the classifier is wrong while a judge still sees the class that was meant."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from failure_atlas.core.pool import compute_parts
from failure_atlas.images.image_set import to_bytes
from failure_atlas.stylegan2.noise import draw_seeds
from failure_atlas.walks.crossing import LEVEL, find_crossings
from failure_atlas.walks.single import Walks
from failure_atlas.world.show import CLASSIFIER, JUDGE, World, select_seeds

TOLERANCE_STD = 1e-3

# Walks [K] int64, shifts [K] in std -> the judge's true-class probability [K] there, 0 where the classifier is right.
WeighFailure = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TrueFailures:
    """Where M walks first meet a true failure, each array [M].

    found: bool.  shift_std: how far along the walk.  judge_probability: of the true class, there; both NaN where none
    was found.
    """

    found: np.ndarray
    shift_std: np.ndarray
    judge_probability: np.ndarray


def tell_wrong(softmax: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Whether the classifier sees another class and gives the true one 0.50 at most; bool [N].

    softmax: [N, C].  true_class: [N]. At a corner case the true class stands at 0.50 and is often still the most
    probable one: the classifier is in doubt there, not wrong.
    """
    wrong = softmax.argmax(axis=1) != true_class
    return np.asarray(wrong & (softmax[np.arange(len(softmax)), true_class] <= LEVEL))


def weigh_failures(
    world: World, styles: np.ndarray, true_class: np.ndarray, noise: np.ndarray | None = None
) -> np.ndarray:
    """The judge's true-class probability where the classifier is wrong, 0 where it is right; [N] float64.

    styles: [N, D] float32.  true_class: [N].  noise: int64 [N], see `World.show`. Both see the unrounded image and the
    one in bytes that is stored: the classifier must be wrong on both, and the smaller of the judge's two probabilities
    counts. At the edge of a failure, where a search ends, rounding alone turns many answers.
    """
    batches = ((styles[rows], select_seeds(noise, rows), true_class[rows]) for rows in world.split(len(styles)))
    return np.concatenate(list(compute_parts(partial(_weigh_batch, world), batches)))


def _weigh_batch(world: World, styles: np.ndarray, noise: np.ndarray | None, true_class: np.ndarray) -> np.ndarray:
    def ask(network: str, images: torch.Tensor) -> np.ndarray:
        return np.asarray(world.ask(network, images).double().softmax(dim=1).cpu().numpy())

    weight, ((_, images),) = np.zeros(len(styles)), world.make_images(styles, noise)
    # The judge is the slower of the two: it is asked about wrong answers only.
    wrong = np.flatnonzero(tell_wrong(ask(CLASSIFIER, images), true_class))
    stored = to_bytes(images[wrong]).float() / 255
    still = np.flatnonzero(tell_wrong(ask(CLASSIFIER, stored), true_class[wrong]))
    wrong, stored = wrong[still], stored[still]
    seen = [ask(JUDGE, shown)[np.arange(len(wrong)), true_class[wrong]] for shown in (images[wrong], stored)]
    weight[wrong] = np.minimum(*seen)
    return weight


@dataclass(frozen=True)
class Survival:
    """Of each of N images the share of fresh draws of noise under which ...

    wrong: [N], ... the classifier is wrong.  true_failure: [N], ... and the judge still sees the class that was meant.
    """

    wrong: np.ndarray
    true_failure: np.ndarray


def survive_noise(
    world: World,
    styles: np.ndarray,
    true_class: np.ndarray,
    *,
    confidence: float,
    draws: int,
    stream: Callable[[int], np.random.Generator],
    advance: Callable[[int], object] = lambda _: None,
) -> Survival:
    """Draw the noise of each image anew and ask again, as `weigh_failures` does.

    styles: [N, D] float32.  true_class: [N].  confidence: the judge's.  stream: of the seeds of a draw.  advance: told
    the number of images after each draw. What fails under one draw alone is a failure of that draw, not of the styles.
    """
    weights = np.zeros((draws, len(styles)))
    for draw in range(draws):
        weights[draw] = weigh_failures(world, styles, true_class, draw_seeds(len(styles), stream(draw)))
        advance(len(styles))
    return Survival((weights > 0).mean(axis=0), (weights >= confidence).mean(axis=0))


def find_true_failures(
    weigh: WeighFailure,
    crossing_std: np.ndarray,
    reached: np.ndarray,
    grid_std: np.ndarray,
    *,
    confidence: float,
    tolerance_std: float = TOLERANCE_STD,
    on_end: Callable[[int], None] = lambda _: None,
) -> TrueFailures:
    """Follow walks from their crossing of 0.50 to the first true failure, all walks at once.

    A point is a true failure where the classifier is wrong (see `tell_wrong`) and the judge gives the true class at
    least `confidence`, each of them also on the image in bytes (see `weigh_failures`). Tried are the crossing, then
    the points of the grid beyond it; the first that holds is drawn nearer by bisection, to within tolerance_std of a
    point that does not hold. The shift returned is one at which both were asked and the condition held.
    Unlike a fall to a level, the condition may hold on an island: the judge gives up soon after the classifier. What
    lies between two points of the grid is not seen, so that an earlier true failure, or the only one, may be missed,
    and the share of walks that have one is a lower bound; a finer grid misses less.
    weigh: called with the walks still under way.  crossing_std, reached: [M], as in `Walks`; a walk that never reached
    0.50 has no true failure.  grid_std: [G], rising.  on_end: told how many walks have just found one or given up.
    """
    position, value = crossing_std.astype(float), np.zeros(len(crossing_std))
    rows = np.flatnonzero(reached)
    if rows.size:
        value[rows] = weigh(rows, position[rows])
    farther = rows[value[rows] < confidence]
    on_end(len(rows) - len(farther))
    # The weight rises to the confidence: turned round, it falls to a level.
    crossings = find_crossings(
        lambda which, shift_std: -weigh(farther[which], shift_std),
        -value[farther],
        grid_std,
        origin=position[farther],
        level=-confidence,
        tolerance=0.0,
        width=tolerance_std,
        on_arrival=on_end,
    )
    on_end(int(np.count_nonzero(~crossings.reached)))
    position[farther], value[farther] = crossings.position, -crossings.value
    found = reached & (value >= confidence)
    return TrueFailures(found, np.where(found, position, np.nan), np.where(found, value, np.nan))


def stop_at_true_failures(walks: Walks, failures: TrueFailures) -> Walks:
    """The walks that meet a true failure, each ended there."""
    return replace(walks.select(failures.found), shift_std=failures.shift_std[failures.found])
