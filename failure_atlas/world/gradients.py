"""d target / d s, each sample on its own: by autograd, or by central differences where a classifier gives no gradient.

A target is what of the classifier's output is followed: its softmax of the true class (Le Coz et al. 2022, 2.2), the
logarithm of it, its logit, or its log-odds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from failure_atlas.core.pool import compute_parts
from failure_atlas.statistics.moments import Rows
from failure_atlas.world.show import CLASSIFIER, Classify, World, move_styles, select_seeds

Target = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # logits [N, classes], true class [N] -> values [N]


def softmax(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """The probability of the true class."""
    return logits.softmax(dim=1).gather(1, true_class[:, None])[:, 0]


def log_probability(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """Its logarithm, whose gradient does not vanish where the classifier is wrong and sure."""
    return logits.log_softmax(dim=1).gather(1, true_class[:, None])[:, 0]


def logit(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """The logit of the true class."""
    return logits.gather(1, true_class[:, None])[:, 0]


def log_odds(logits: torch.Tensor, true_class: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) of the true-class softmax p, float64, exact where p rounds to 1.

    Its gradient points where that of p points, which is p (1 - p) times as long and vanishes in float32 where the
    classifier is sure.
    """
    meant = torch.nn.functional.one_hot(true_class, logits.shape[1]).bool()
    wide = logits.double()
    return wide.where(meant, 0.0).sum(dim=1) - wide.masked_fill(meant, -torch.inf).logsumexp(dim=1)


@dataclass(frozen=True)
class Differences:
    """Central differences in place of gradients: (f(s + h e_j) - f(s - h e_j)) / 2h for chosen dimensions j.

    dimensions: [N, K] int64.  steps: [N, K], h in raw style units; where it is 0 nothing is asked and the slope is 0.
    Exact where the target is linear or quadratic in s_j; else off by h^2 / 6 times its third derivative.
    """

    dimensions: np.ndarray
    steps: np.ndarray

    @classmethod
    def along_all(cls, samples: int, steps: np.ndarray) -> "Differences":
        """Along every dimension of every sample, with the same steps [D]; one of 0 skips its dimension."""
        shape = (samples, len(steps))
        return cls(np.broadcast_to(np.arange(len(steps)), shape), np.broadcast_to(steps, shape))


@dataclass(frozen=True)
class Slopes:
    """What one batch leaves.

    rows: which samples.  values: by target [n].  gradients: by target [n, D], or [n, K] along the K dimensions of
    `Differences`, per raw style unit.  logits: [n, classes].
    """

    rows: slice
    values: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]
    logits: np.ndarray


def differentiate(
    world: World,
    targets: Mapping[str, Target],
    styles: np.ndarray | Rows,
    true_class: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    network: str = CLASSIFIER,
    differences: Differences | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Iterator[Slopes]:
    """Gradients of several targets, batch by batch.

    styles: [N, D] float32 in raw style units.  true_class: [N] int64.  Generator and network must treat samples
    independently.  noise: int64 [N], see `World.show`.  differences: in place of autograd, which takes one forward pass
    and a backward pass for each target.
    advance: told the number of images after each batch: of differences two for each step that is not 0, and one.
    Differences are of targets of float64 logits, so that rounding does not swamp small ones.
    """
    if not len(styles):
        width = styles.shape[1] if differences is None else differences.dimensions.shape[1]
        nothing = {name: np.zeros((0, width)) for name in targets}
        yield Slopes(slice(0, 0), dict.fromkeys(targets, np.zeros(0)), nothing, np.zeros((0, world.classes)))
        return
    batches = ((rows, styles[rows], select_seeds(noise, rows), true_class[rows]) for rows in world.split(len(styles)))
    if differences is None:
        found = compute_parts(partial(_by_autograd, world, world.networks[network], targets), batches)
    else:
        found = (_by_differences(world, network, targets, *batch, differences, advance) for batch in batches)
    for slopes in found:
        advance(slopes.rows.stop - slopes.rows.start)
        yield slopes


def _by_autograd(
    world: World,
    classify: Classify,
    targets: Mapping[str, Target],
    rows: slice,
    styles: np.ndarray,
    noise: np.ndarray | None,
    true_class: np.ndarray,
) -> Slopes:
    labels = torch.from_numpy(true_class).to(world.device)
    with torch.enable_grad():
        leaf = torch.from_numpy(styles).to(world.device).requires_grad_(True)
        logits = classify(world.paint(leaf, noise))
        values = {name: target(logits, labels) for name, target in targets.items()}
        gradients = {}
        for place, (name, value) in enumerate(values.items(), start=1):
            # A sample's value depends on its own styles only: the gradient of the sum holds each sample's own.
            (gradients[name],) = torch.autograd.grad(value.sum(), leaf, retain_graph=place < len(values))
    return Slopes(rows, _numpy(values), _numpy(gradients), logits.detach().cpu().numpy())


def _by_differences(
    world: World,
    network: str,
    targets: Mapping[str, Target],
    rows: slice,
    styles: np.ndarray,
    noise: np.ndarray | None,
    true_class: np.ndarray,
    differences: Differences,
    advance: Callable[[int], object],
) -> Slopes:
    labels, dimensions, steps = torch.from_numpy(true_class), differences.dimensions[rows], differences.steps[rows]
    logits = world.ask(network, next(iter(world.make_images(styles, noise)))[1]).double()
    slopes = {name: np.zeros(dimensions.shape) for name in targets}
    row, place = np.nonzero(steps)
    at_once = max(1, world.batch_size // 2)
    cuts = [slice(first, first + at_once) for first in range(0, len(row), at_once)]
    lines = (
        (styles[at], select_seeds(noise, at), true_class[at], dimensions[at, along], steps[at, along])
        for at, along in ((row[cut], place[cut]) for cut in cuts)
    )
    found = compute_parts(partial(_difference, world, network, targets), lines)
    for cut, each in zip(cuts, found, strict=True):
        for name, slope in each.items():
            slopes[name][row[cut], place[cut]] = slope
        advance(2 * len(row[cut]))
    values = _numpy({name: target(logits, labels.to(world.device)) for name, target in targets.items()})
    return Slopes(rows, values, slopes, logits.cpu().numpy())


def _difference(
    world: World,
    network: str,
    targets: Mapping[str, Target],
    styles: np.ndarray,
    noise: np.ndarray | None,
    true_class: np.ndarray,
    dimension: np.ndarray,
    step: np.ndarray,
) -> dict[str, np.ndarray]:
    """Slopes of each target [K], each along one dimension [K] of its own; step: [K]."""
    up, down = move_styles(styles, dimension, step), move_styles(styles, dimension, -step)
    # The step as float32 holds it, so that rounding of s + h makes no error of the slope.
    index = np.arange(len(styles))
    width = up[index, dimension].astype(np.float64) - down[index, dimension]
    seeds = None if noise is None else np.tile(noise, 2)
    ends = [world.ask(network, images) for _, images in world.make_images(np.concatenate([up, down]), seeds)]
    own, logits = torch.from_numpy(np.tile(true_class, 2)).to(world.device), torch.cat(ends).double()
    values = {name: target(logits, own).double().cpu().numpy().reshape(2, -1) for name, target in targets.items()}
    return {name: (high - low) / width for name, (high, low) in values.items()}


def _numpy(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
