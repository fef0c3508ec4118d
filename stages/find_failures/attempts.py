"""The search and its baselines, each run from its starts: what was tried, what was found, and what that took."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.search.baselines import (
    Reached,
    follow_mean_direction,
    walk_all_dimensions,
    walk_single_dimensions,
)
from failure_atlas.search.chains import chain_to_failures, measure_levels
from failure_atlas.search.nearest import Nearest, Steering, aim_above, walk_to_failures
from failure_atlas.stylegan2.noise import CONSTANT, draw_seeds
from failure_atlas.walks.space import StdSpace
from failure_atlas.walks.starts import share_equally
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import JUDGE
from stages.common.artefacts.inverted import RealImages
from stages.common.artefacts.walks import choose_candidates
from stages.find_failures.inputs import Opened
from stages.find_failures.params import FindFailuresParams

NEAREST, CHAINS, SAMPLES = "walk_in_w", "sampling_and_chains", "plain_sampling"
FROM_REAL = "walk_in_w_from_real_images"
MEAN_DIRECTION, SINGLE, JOINT = "mean_direction_in_w", "single_dimensions_of_s", "all_dimensions_of_s"
DRAWN, MEAN, GIVEN, REAL = "drawn", "mean", "sample", "real"  # kinds of starts
MOST_DRAWN = 50  # samples for each start, before a class counts as one of which there are too few
ROUND = 1000  # samples drawn at once
DOUBTFUL = 2.0  # logits: a sample whose true class leads by more is no first sample of a chain


@dataclass(frozen=True)
class Starts:
    """S starts: w [S, W] float32, true_class and noise int64 [S].  kind: [S], DRAWN, MEAN, GIVEN or REAL.  index: int64
    [S], of the drawn or given sample or the test image, the draw of a mean's noise.  tried: how many samples were drawn
    for them.  offset: [S, D] float32, added to the styles; None: nothing.
    """

    w: np.ndarray
    true_class: np.ndarray
    noise: np.ndarray
    kind: np.ndarray
    index: np.ndarray
    tried: int
    offset: np.ndarray | None = None


@dataclass(frozen=True)
class Attempt:
    """What one method found.

    tried: walks, chains or samples.  row: int64 [M], of the start, chain or sample that each failure is from.
    w: [M, W] float32, NaN where only styles are known.  styles: [M, D] float32.  true_class, noise: int64 [M].
    distance_std: [M], straight from the start in std of W or S, NaN without a start.  start_styles: [M, D], NaN alike.
    cpu_seconds: counted, see `metering`.
    """

    method: str
    tried: int
    row: np.ndarray
    w: np.ndarray
    styles: np.ndarray
    true_class: np.ndarray
    noise: np.ndarray
    distance_std: np.ndarray
    start_styles: np.ndarray
    cpu_seconds: float


@dataclass(frozen=True)
class Independent:
    """N samples drawn independently, classes in turn: z, w, noise, true_class; level: see `measure_levels`.

    failed: bool [N], true failures at the judge's own confidence.
    """

    z: np.ndarray
    w: np.ndarray
    noise: np.ndarray
    true_class: np.ndarray
    level: np.ndarray
    failed: np.ndarray


def choose_starts(opened: Opened, section: FindFailuresParams) -> Starts:
    """Samples drawn at random that the classifier gets right and the judge is sure of; class means; given samples.

    A class with too few such samples gives those that were found, and a warning. Raises StageError of a given sample
    that the population lacks.
    """
    samples, names = opened.samples, opened.samples.class_names
    given = np.array(section.start_samples, np.int64)
    if given.size and given.max() >= len(samples.true_class):
        there = f"0 to {len(samples.true_class) - 1}"
        raise StageError(f"find_failures.start_samples: got {given.max()}; allowed: {there}, of the population")
    shares, parts, tried = share_equally(section.starts, len(names)), [], 0
    with Progress("starts", section.starts, "starts") as progress:
        for label, share in enumerate(shares):
            part, drawn = _draw_starts(opened, section.seed, label, int(share))
            count = len(part[0])
            if count < share:
                logging.warning(
                    "find_failures.starts: class %s: %d of %d samples are right and sure, %d were wanted",
                    names[label], count, drawn, share,
                )  # fmt: skip
            parts.append((*part, np.full(count, label), np.full(count, DRAWN)))
            tried += drawn
            progress.advance(int(share))
    draws, classes = samples.mean_noise.shape
    labels = np.tile(np.arange(classes), draws)
    parts.append(
        (opened.domain.centre[labels].astype(np.float32), samples.mean_noise.ravel(),
         np.arange(draws).repeat(classes), labels, np.full(len(labels), MEAN))
    )  # fmt: skip
    parts.append((opened.w[given], samples.noise[given], given, samples.true_class[given], np.full(len(given), GIVEN)))
    w, noise, index, true_class, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Starts(w, true_class.astype(np.int64), noise, kind, index, tried)


def _draw_starts(
    opened: Opened, seed: int, label: int, share: int
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], int]:
    """w, noise and running number of the first `share` good samples of a class, and how many were drawn for them."""
    random, drawn, found = numpy_stream(seed, "find_failures", "starts", label), 0, 0
    taken = [(np.zeros((0, opened.generator.w_dim), np.float32), *np.zeros((2, 0), np.int64))]
    while found < share and drawn < MOST_DRAWN * share:
        count = min(ROUND, max(2 * share, 10))
        true_class = np.full(count, label)
        w = opened.locate(random.standard_normal((count, opened.generator.z_dim), np.float32), true_class)
        noise = draw_noise(opened, count, random)
        shown = opened.latents.show(w, noise=noise, keep_images=False)
        good = shown.score(true_class) > 0.5
        good &= (shown.predicted() == true_class) & (shown.score(true_class, JUDGE) >= opened.judge.confidence)
        rows = np.flatnonzero(good)[: share - found]
        taken.append((w[rows], noise[rows], drawn + rows))
        found, drawn = found + len(rows), drawn + (int(rows[-1]) + 1 if found + len(rows) == share else count)
    w, noise, index = (np.concatenate(column) for column in zip(*taken, strict=True))
    return (w, noise, index), drawn


def draw_noise(opened: Opened, count: int, random: np.random.Generator) -> np.ndarray:
    """Seeds of noise int64 [count], or the constant noise where the population has that."""
    return np.full(count, CONSTANT) if opened.samples.constant_noise else draw_seeds(count, random)


def start_from_real(opened: Opened, whole: RealImages, count: int) -> tuple[Starts, np.ndarray]:
    """Real images whose reconstruction the classifier gets right and the judge is sure of, and these images.

    The first ones that were drawn at random, classes in turn.
    """
    shown = opened.world.show(whole.found.styles, noise=whole.found.noise, keep_images=False)
    good = (shown.predicted() == whole.true_class) & (shown.score(whole.true_class, JUDGE) >= opened.judge.confidence)
    real = whole.take_turns(good, count)
    found, count = real.found, len(real.table)
    index = real.table["index"].to_numpy(np.int64)
    starts = Starts(found.w, real.true_class, found.noise, np.full(count, REAL), index, 0, found.offset)
    return starts, real.images


def search(
    opened: Opened, starts: Starts, section: FindFailuresParams, method: str = NEAREST
) -> tuple[Nearest, Attempt]:
    """The walks in W from all starts."""
    before = opened.meter.cpu_seconds
    steering = Steering(
        opened.latents, opened.members, aim_above(section.confidence), section.judge_weight, opened.std,
        not is_differentiable(opened.classifier),
    )  # fmt: skip
    with Progress("walks in W", len(starts.w), "walks") as progress:
        walks = walk_to_failures(
            steering, opened.domain, starts.w, starts.true_class, starts.noise,
            confidence=section.confidence, step_std=section.step_std, most_steps=section.most_steps,
            restart_steps=section.restart_steps,
            stream=partial(numpy_stream, section.seed, "find_failures", "restarts"), offset=starts.offset,
            on_end=progress.advance,
        )  # fmt: skip
    places = opened.domain.place(walks.whitened, starts.true_class)
    found = Reached(walks.found, places, walks.distance_std)
    return walks, _attempt(opened, method, starts, found, before)


def _attempt(opened: Opened, method: str, starts: Starts, reached: Reached, before: float, unit: str = "W") -> Attempt:
    rows = np.flatnonzero(reached.found)
    places = reached.places[rows]
    w = places if unit == "W" else np.full((len(rows), starts.w.shape[1]), np.nan, np.float32)
    offset = 0 if starts.offset is None else starts.offset[rows]
    return Attempt(
        method, len(starts.w), rows, w, opened.style(places) + offset if unit == "W" else places,
        starts.true_class[rows], starts.noise[rows], reached.distance_std[rows], opened.style(starts.w[rows]) + offset,
        opened.meter.cpu_seconds - before,
    )  # fmt: skip


def draw_independent(opened: Opened, section: FindFailuresParams) -> tuple[Independent, Attempt]:
    """Plain samples, and the true failures among them by the judge's own confidence."""
    before, classes = opened.meter.cpu_seconds, opened.generator.num_classes
    total, parts = section.class_samples * classes, []
    with Progress("independent samples", total, "samples") as progress:
        for first in range(0, total, ROUND):
            random = numpy_stream(section.seed, "find_failures", "samples", first // ROUND)
            z = random.standard_normal((ROUND, opened.generator.z_dim), np.float32)[: total - first]
            noise = draw_noise(opened, ROUND, random)[: len(z)]
            true_class = np.arange(first, first + len(z), dtype=np.int64) % classes
            w = opened.locate(z, true_class)
            if not opened.generator.conditional:  # a sample is of the class that the judge sees in it
                true_class = opened.latents.show(w, [JUDGE], noise=noise, keep_images=False).predicted(JUDGE)
            confidence, most = opened.judge.confidence, np.full(len(z), DOUBTFUL)
            level = measure_levels(opened.latents, w, true_class, noise, confidence, most)
            parts.append((z, w, noise, true_class, level))
            progress.advance(len(z))
    z, w, noise, true_class, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    failed = np.zeros(len(z), bool)
    maybe = np.flatnonzero(level == 0)
    weight = weigh_failures(opened.latents, w[maybe], true_class[maybe], noise[maybe])
    failed[maybe] = weight >= opened.judge.confidence
    rows, none = np.flatnonzero(failed), np.full(int(failed.sum()), np.nan)
    styles = opened.style(w[rows])
    attempt = Attempt(
        SAMPLES, total, rows, w[rows], styles, true_class[rows], noise[rows], none, np.full_like(styles, np.nan),
        opened.meter.cpu_seconds - before,
    )  # fmt: skip
    return Independent(z, w, noise, true_class, level, failed), attempt


def chain(opened: Opened, drawn: Independent, sampling: Attempt, section: FindFailuresParams) -> Attempt:
    """Chains from the independent samples that come nearest to a true failure; what the sampling took counts, too."""
    before = opened.meter.cpu_seconds
    order = np.argsort(drawn.level, kind="stable")[: section.chains]
    order = order[np.isfinite(drawn.level[order])]
    own, noise = drawn.true_class[order], drawn.noise[order]
    with Progress("chains", len(order), "chains") as progress:
        chains = chain_to_failures(
            opened.latents, opened.domain, opened.locate, drawn.z[order], own, noise,
            confidence=opened.judge.confidence,
            stream=lambda index: numpy_stream(section.seed, "find_failures", "chains", int(order[index])),
            on_end=progress.advance,
        )  # fmt: skip
    rows = np.flatnonzero(chains.found)
    distance = np.linalg.norm(opened.domain.whiten(chains.w, own) - opened.domain.whiten(drawn.w[order], own), axis=1)
    return Attempt(
        CHAINS, len(order), order[rows], chains.w[rows], opened.style(chains.w[rows]), own[rows], noise[rows],
        distance[rows], opened.style(drawn.w[order[rows]]), sampling.cpu_seconds + opened.meter.cpu_seconds - before,
    )  # fmt: skip


def try_baselines(opened: Opened, starts: Starts, ranking: pd.DataFrame, section: FindFailuresParams) -> list[Attempt]:
    """The walks of the paper, from the first of the starts that were drawn; some need gradients."""
    names = opened.samples.class_names
    each = share_equally(min(section.baseline_starts, section.starts), len(names))
    own = starts.kind == DRAWN
    first = [np.flatnonzero(own & (starts.true_class == label))[:most] for label, most in enumerate(each)]
    chosen = np.concatenate(first)
    if not chosen.size:
        return []
    some = Starts(
        starts.w[chosen], starts.true_class[chosen], starts.noise[chosen], starts.kind[chosen], starts.index[chosen], 0
    )
    candidates = choose_candidates(ranking, "class", some.true_class, names, opened.generator.style_dimensions)
    space = StdSpace(opened.world, opened.style(some.w), some.true_class, opened.samples.std, some.noise)
    confidence = section.confidence
    tasks: list[tuple[str, str, Callable[[], Reached]]] = [
        (SINGLE, "S", lambda: walk_single_dimensions(space, candidates, confidence)),
    ]
    if is_differentiable(opened.classifier):
        tasks += [
            (JOINT, "S", lambda: walk_all_dimensions(space, confidence)),
            (MEAN_DIRECTION, "W", lambda: follow_mean_direction(
                opened.latents, opened.domain, some.w, some.true_class, some.noise, confidence)),
        ]  # fmt: skip
    attempts = []
    for method, unit, run in tasks:
        before = opened.meter.cpu_seconds
        attempts.append(_attempt(opened, method, some, run(), before, unit))
    return attempts
