"""True failures near samples that nearly fail, without gradients: chains of preconditioned Crank-Nicolson proposals.

A proposal sqrt(1 - b^2) z + b n, n standard normal, leaves the distribution of latents as it is (Cotter, Roberts,
Stuart, White 2013). A chain takes one that comes nearer to a true failure, as subset simulation does level by level
(Au, Beck 2001), and ends at the first; so each lineage, the samples that go back to one, gives one failure at most.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.search.domain import Domain
from failure_atlas.search.nearest import measure_margin
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import CLASSIFIER, JUDGE, World

PROPOSAL = 0.3  # b
MOST_STEPS = 40
Locate = Callable[[np.ndarray, np.ndarray], np.ndarray]  # z [N, Z], true class [N] -> w [N, W]


@dataclass(frozen=True)
class Chains:
    """found: bool [N].  z: [N, Z] float32, w: [N, W] float32, of the last sample of each chain.  steps: int64 [N]."""

    found: np.ndarray
    z: np.ndarray
    w: np.ndarray
    steps: np.ndarray


def measure_levels(
    world: World, w: np.ndarray, true_class: np.ndarray, noise: np.ndarray, confidence: float, most: np.ndarray
) -> np.ndarray:
    """How far from a true failure each sample is: relu(margin) + relu(log confidence - log p), [N] float64.

    most: [N]; the judge, the slower of the two, is asked only where the classifier alone stays below it. Elsewhere the
    level is infinite.
    """
    labels = torch.from_numpy(true_class)
    logits = world.show(w, [CLASSIFIER], noise=noise, keep_images=False).logits[CLASSIFIER]
    level = measure_margin(torch.from_numpy(logits).double(), labels).relu().numpy()
    asked = np.flatnonzero(level < most)
    seen = world.show(w[asked], [JUDGE], noise=noise[asked], keep_images=False).score(true_class[asked], JUDGE)
    level[asked] += np.maximum(np.log(confidence) - np.log(np.maximum(seen, np.finfo(float).tiny)), 0)
    return np.where(level < most, level, np.inf)


def chain_to_failures(
    world: World,
    domain: Domain,
    locate: Locate,
    z: np.ndarray,
    true_class: np.ndarray,
    noise: np.ndarray,
    *,
    confidence: float,
    stream: Callable[[int], np.random.Generator],
    on_end: Callable[[int], object] = lambda _: None,
) -> Chains:
    """One chain from each sample, all at once.

    world: over latents w, with CLASSIFIER and JUDGE.  z: [N, Z] float32, true_class, noise: int64 [N], of the first
    samples; the noise stays.  confidence: of the judge in the true class.  stream: of a chain.
    A sample outside of the domain is not taken.  on_end: told how many chains have just ended.
    """
    z, w = z.copy(), locate(z, true_class)
    streams = [stream(index) for index in range(len(z))]
    level = measure_levels(world, w, true_class, noise, confidence, np.full(len(z), np.inf))
    found, steps, live = np.zeros(len(z), bool), np.full(len(z), MOST_STEPS), np.arange(len(z))
    for step in range(MOST_STEPS + 1):
        zero = live[(level[live] == 0) & domain.contains(w[live], true_class[live])]
        hit = zero[weigh_failures(world, w[zero], true_class[zero], noise[zero]) >= confidence]
        found[hit], steps[hit] = True, step
        on_end(len(hit))
        live = live[~found[live]]
        if not live.size or step == MOST_STEPS:
            break
        drawn = np.array([streams[index].standard_normal(z.shape[1]) for index in live])
        tried = np.asarray(np.sqrt(1 - PROPOSAL**2) * z[live] + PROPOSAL * drawn, np.float32)
        placed, own = locate(tried, true_class[live]), true_class[live]
        # Of two samples that only rounding keeps from failing, either may be the next.
        most = np.where(level[live] > 0, level[live], np.finfo(float).tiny)
        reached = measure_levels(world, placed, own, noise[live], confidence, most)
        better = (reached < most) & domain.contains(placed, own)
        rows = live[better]
        z[rows], w[rows], level[rows] = tried[better], placed[better], reached[better]
    on_end(len(live))
    return Chains(found, z, w, steps)
