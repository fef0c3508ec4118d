"""Training of classifiers: AdamW, one cycle of the learning rate, small affine changes of shape, cross-entropy.

A person still reads the same digit after the changes. The gradient of a batch comes from two threads, each with one
half of it and one core: two single-threaded halves need no barrier inside a layer. On two idle cores that is 1.1 times
as fast as letting each layer use both; where another job takes a core, layers that wait for each other fall to a tenth
and this does not. The halves and the order in which they are added are fixed, so that the result does not depend on how
many cores there are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import reduce
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.device import Precision, choose_dtype, computing_in
from failure_atlas.core.errors import StageError
from failure_atlas.core.fields import Section
from failure_atlas.core.seeds import torch_stream
from failure_atlas.images.image_set import ImageSet


class AugmentationParams(Section):
    """Limits of the random affine changes of shape, and of those of light; all 0: none."""

    rotation_degrees: Annotated[float, Field(ge=0, le=45)]
    scale: Annotated[float, Field(ge=0, le=1)]
    shear: Annotated[float, Field(ge=0, le=1)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    interpolation: Literal["bilinear", "nearest"]
    light: Annotated[float, Field(ge=0, le=4)] = 0.0


class Recipe(Section):
    """How long, how fast and on what changes of shape a classifier is trained; part of params that train one."""

    training_images: Annotated[int, Field(ge=1, le=1_000_000_000)]
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    precision: Precision
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    augmentation: AugmentationParams


def draw_affine(
    n: int, generator: torch.Generator, *, rotation_degrees: float, scale: float, shear: float, shift: float
) -> torch.Tensor:
    """Random affine maps [n, 2, 3] as `warp` takes them, each factor uniform within its limits.

    rotation_degrees: 10 turns by up to 10 degrees either way.  scale: 0.1 resizes by 1 / 1.1 to 1.1, width and height
    apart.  shear: 0.1 slants by up to 0.1.  shift: as a share of the image's side.
    """

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        return (torch.rand(n, *shape, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(rotation_degrees))
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    slant = torch.eye(2).repeat(n, 1, 1)
    slant[:, 0, 1] = uniform(shear)
    resize = torch.diag_embed(torch.exp(uniform(math.log1p(scale), 2)))
    return torch.cat([rotation @ slant @ resize, 2 * uniform(shift, 2, 1)], dim=2)


def warp(images: torch.Tensor, maps: torch.Tensor, interpolation: str) -> torch.Tensor:
    """Sample [N, C, H, W] images along affine maps of the output's coordinates (-1 to 1); mirrored at the edge.

    interpolation: "nearest" keeps noise as strong as it is; "bilinear" averages neighbours, and so removes some of it.
    """
    grid = functional.affine_grid(maps.to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode=interpolation, padding_mode="reflection", align_corners=False)


def relight(images: torch.Tensor, light: float, generator: torch.Generator) -> torch.Tensor:
    """Images [N, C, H, W] in [0, 1], each with its mean and its contrast multiplied by random factors of their own.

    light: 0.5 stands for factors from 1 / 1.5 to 1.5.
    """
    drawn = torch.rand(2, len(images), 1, 1, 1, generator=generator) * 2 - 1
    brightness, contrast = torch.exp(drawn * math.log1p(light)).to(images)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    lit: torch.Tensor = mean * brightness + (images - mean) * contrast
    return lit.clamp(0, 1)


SHARDS = 2


@contextmanager
def shard_workers() -> Iterator[Executor]:
    """Threads for `set_gradient`; until the block ends, torch uses one thread per operation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(SHARDS, initializer=torch.set_num_threads, initargs=(1,)) as workers:
            yield workers
    finally:
        torch.set_num_threads(threads)


def set_gradient(
    classifier: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    workers: Executor,
    dtype: torch.dtype = torch.float32,
) -> tuple[float, int]:
    """Set `grad` of each parameter to that of the mean cross-entropy; returns the loss and how many were right.

    images: [N, C, H, W].  labels: int64 [N].  dtype: of convolutions and matrix products.  The classifier
    must treat each image alone and keep no statistics.
    """
    parameters = list(classifier.parameters())

    def differentiate(part: torch.Tensor, truth: torch.Tensor) -> tuple[float, int, tuple[torch.Tensor, ...]]:
        with computing_in(dtype, part.device):
            logits = classifier(part).float()
        loss = functional.cross_entropy(logits, truth, reduction="sum") / len(labels)
        gradients = torch.autograd.grad(loss, parameters)
        return loss.item(), int((logits.argmax(1) == truth).sum()), gradients

    results = list(workers.map(differentiate, images.chunk(SHARDS), labels.chunk(SHARDS)))
    for parameter, *gradients in zip(parameters, *(each[2] for each in results), strict=True):
        parameter.grad = reduce(torch.add, gradients)
    return sum(each[0] for each in results), sum(each[1] for each in results)


WARM_UP = 0.1  # share of the training over which the learning rate rises
BETAS = (0.9, 0.99)
CURVE_POINTS = 8
LAYOUT = torch.channels_last  # on a CPU 1.1 to 1.5 times as fast as the other


def train(
    classifier: Classifier,
    part: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    names: Sequence[str | int],
    key: str,
    device: torch.device,
    evaluate: Callable[[], dict[str, float]] = dict,
    advance: Callable[[int, str], object] = lambda *_: None,
) -> list[dict[str, float]]:
    """Draw the weights anew and train on a set of images; moves the classifier to the device.

    names: what is trained; they stand in the random streams, so that two of one seed share nothing.  key: where params
    describe it, for the error.  evaluate: called at each of 8 points of the learning curve.
    advance: told the number of images just shown and a note.
    Returns the points: images seen, learning rate, loss and accuracy in training since the last, what `evaluate` gave.
    Raises StageError if the loss is no longer finite.
    """
    initialise(classifier, torch_stream(seed, *names, "weights"))
    classifier.to(device)
    images, labels = torch.from_numpy(part.images).to(device), torch.from_numpy(part.labels).to(device)
    order, shapes = torch_stream(seed, *names, "order"), torch_stream(seed, *names, "shapes")
    limits = recipe.augmentation.model_dump(exclude={"interpolation", "light"})
    dtype = choose_dtype(recipe.precision, device)
    size, groups = recipe.batch_size, _groups(classifier, recipe.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=BETAS, fused=True)
    # As many images whatever the size of the set, so that a larger one takes no longer.
    steps = math.ceil(recipe.training_images / size)
    batches = draw_batches(len(labels), size, order)
    classifier.to(memory_format=LAYOUT)  # type: ignore[call-overload]  # its stub leaves this argument out
    curve, losses, correct, shown = [], 0.0, 0, 0
    with shard_workers() as workers:
        for step in range(1, steps + 1):
            rate = recipe.learning_rate * one_cycle((step - 1) / steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            chosen = next(batches).to(device)
            batch = images[chosen].to(torch.float32) / 255
            if any(limits.values()):
                maps = draw_affine(size, shapes, **limits).to(batch)
                batch = warp(batch, maps, recipe.augmentation.interpolation)
            if recipe.augmentation.light:
                batch = relight(batch, recipe.augmentation.light, shapes)
            batch = batch.contiguous(memory_format=LAYOUT)
            loss, right = set_gradient(classifier, batch, labels[chosen], workers, dtype)
            if not math.isfinite(loss):
                raise StageError(
                    f"{key}: loss is not finite after {step * size:,} images; try a smaller learning_rate "
                    f"(it is {recipe.learning_rate:g})"
                )
            optimiser.step()
            advance(size, f"loss {loss:.3f}")

            losses, correct, shown = losses + loss * size, correct + right, shown + size
            if step * CURVE_POINTS // steps > (step - 1) * CURVE_POINTS // steps:
                point = {"images": step * size, "learning_rate": rate}
                point |= {"train_loss": losses / shown, "train_accuracy": correct / shown}
                curve.append(point | evaluate())
                losses, correct, shown = 0.0, 0, 0
    return curve


def one_cycle(progress: float) -> float:
    """The learning rate as a share of its peak: a linear rise over the first tenth, then half a cosine down to 0."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def draw_batches(n: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches of indices: one shuffle of all n after the other, so that none is shown twice before the rest."""
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch_size:
            waiting = torch.cat([waiting, torch.randperm(n, generator=generator)])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def initialise(classifier: Classifier, generator: torch.Generator) -> None:
    """Draw the weights of every layer from the generator: He et al. 2015; biases are 0, norms do nothing."""
    for module in classifier.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(
                module.weight, nonlinearity="linear" if isinstance(module, nn.Linear) else "relu", generator=generator
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _groups(classifier: Classifier, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for weights only: biases and norms have one axis."""
    weights = [parameter for parameter in classifier.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in classifier.parameters() if parameter.ndim == 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
