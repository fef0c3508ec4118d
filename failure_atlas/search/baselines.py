"""The walks that people would take instead, up to their first true failure: the baselines of the search.

The mean direction of a class in W, and in S single dimensions and all together (Le Coz et al. 2022, 2.2, 2.3; `walks`).
"""

from dataclasses import dataclass

import numpy as np

from failure_atlas.search.domain import Domain
from failure_atlas.search.nearest import measure_margin
from failure_atlas.walks.crossing import space_grid
from failure_atlas.walks.descent import walk_jointly, walk_on
from failure_atlas.walks.kinds import BEYOND_STD, search_along_dimensions
from failure_atlas.walks.single import Candidates, find_shortest
from failure_atlas.walks.space import StdSpace, measure_length
from failure_atlas.walks.true_failures import find_true_failures, stop_at_true_failures, weigh_failures
from failure_atlas.world.gradients import differentiate
from failure_atlas.world.show import CLASSIFIER, World

FARTHEST_STD, GRID_STD = 20.0, 1.0  # of walks along a line
JOINT_STEP_STD, JOINT_FARTHEST_STD = 0.25, 10.0
TRIED = 10  # single dimensions from each start
SHORTEST = 1e-12  # slope: a classifier that is sure of all starts has none
MIN_EFFECT = 0.001  # of the softmax, below which a dimension is passed over


@dataclass(frozen=True)
class Reached:
    """found: bool [N].  places: [N, ...], latents or styles where it was.  distance_std: [N], straight, in std."""

    found: np.ndarray
    places: np.ndarray
    distance_std: np.ndarray


def follow_mean_direction(
    world: World, domain: Domain, w: np.ndarray, true_class: np.ndarray, noise: np.ndarray, confidence: float
) -> Reached:
    """One direction a class, against the mean slope of the classifier's margin at these starts, inside the domain.

    world: over latents, with a classifier that gives gradients.  w: [N, W].  true_class, noise: int64 [N].
    """
    origin, slopes = domain.whiten(w, true_class), np.zeros(w.shape)
    for part in differentiate(world, {CLASSIFIER: measure_margin}, w, true_class, noise=noise):
        slopes[part.rows] = part.gradients[CLASSIFIER]
    slopes = domain.pull_back(slopes, true_class)
    for label in np.unique(true_class):
        own = true_class == label
        slopes[own] = slopes[own].mean(axis=0)
    way = -slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), SHORTEST)

    def weigh(rows: np.ndarray, shift_std: np.ndarray) -> np.ndarray:
        own, weight = true_class[rows], np.zeros(len(rows))
        tried = domain.place(origin[rows] + shift_std[:, None] * way[rows], own)
        inside = np.flatnonzero(domain.contains(tried, own))
        weight[inside] = weigh_failures(world, tried[inside], own[inside], noise[rows][inside])
        return weight

    grid, start = space_grid(FARTHEST_STD, GRID_STD), np.zeros(len(w))
    failures = find_true_failures(weigh, start, np.ones(len(w), bool), grid, confidence=confidence)
    shift = np.where(failures.found, failures.shift_std, 0.0)
    return Reached(failures.found, domain.place(origin + shift[:, None] * way, true_class), shift)


def walk_single_dimensions(space: StdSpace, candidates: Candidates, confidence: float) -> Reached:
    """Along each of the top dimensions in turn, to 0.50 and on to a true failure; the shortest of each start."""
    begun = space.world.show(space.styles, [CLASSIFIER], noise=space.noise, keep_images=False)
    walks, _, failures = search_along_dimensions(
        space,
        begun.score(space.true_class),
        candidates,
        wanted=TRIED,
        min_effect=MIN_EFFECT,
        grid_std=space_grid(FARTHEST_STD, GRID_STD),
        confidence=confidence,
    )
    ended = stop_at_true_failures(walks, failures)
    best = ended.select(find_shortest(ended))
    places, found, distance = space.styles.copy(), np.zeros(len(space.styles), bool), np.zeros(len(space.styles))
    found[best.start], places[best.start], distance[best.start] = True, space.move(best), best.shift_std
    return Reached(found, places, distance)


def walk_all_dimensions(space: StdSpace, confidence: float) -> Reached:
    """Down the slope in S to 0.50 and one std farther; a true failure there, or none."""
    count, dimensions = space.styles.shape
    joint = walk_jointly(
        space.measure, space.differentiate, count, dimensions, step_std=JOINT_STEP_STD, max_path_std=JOINT_FARTHEST_STD
    )
    offset, rows = joint.offset.copy(), np.flatnonzero(joint.reached)
    offset[rows] = walk_on(space.differentiate, rows, offset[rows], step_std=JOINT_STEP_STD, length_std=BEYOND_STD)
    places = space.place(np.arange(count), offset)
    found = weigh_failures(space.world, places, space.true_class, space.noise) >= confidence
    return Reached(found, places, measure_length(offset))
