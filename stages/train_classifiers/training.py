"""Training: AdamW, one cycle of the learning rate, random affine changes, cross-entropy."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

from stages.common.errors import StageError
from stages.train_classifiers.augmentation import draw_affine, warp
from stages.train_classifiers.networks import Classifier
from stages.train_classifiers.sharded_gradient import set_gradient, shard_workers

WARM_UP = 0.1  # share of the training over which the learning rate rises
BETAS = (0.9, 0.99)
CURVE_POINTS = 8
LAYOUT = torch.channels_last  # on a CPU 1.1 to 1.5 times as fast as the other


def train(
    classifier: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    training_images: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    limits: dict[str, float],
    interpolation: str,
    dtype: torch.dtype = torch.float32,
    order: torch.Generator,
    shapes: torch.Generator,
    evaluate: Callable[[], dict[str, float]],
    advance: Callable[[int, str], object] = lambda *_: None,
) -> list[dict[str, float]]:
    """Train in place on uint8 images [N, C, H, W] and labels [N], on their device.

    training_images: how many images are shown in total, each counted as often as it is shown; independent of N, so that
    a larger set takes no longer.  limits, interpolation: of the augmentation, as `draw_affine` and `warp` take them.
    dtype: of convolutions and matrix products.  order, shapes: CPU generators of the shuffle and of the augmentation.
    evaluate: called at each of 8 points of the learning curve.
    advance: told the number of images just shown and a note.
    Returns the points: images seen, learning rate, loss and accuracy in training since the last, what `evaluate` gave.
    Raises StageError if the loss is no longer finite.
    """
    optimiser = torch.optim.AdamW(_groups(classifier, weight_decay), lr=learning_rate, betas=BETAS, fused=True)
    steps = math.ceil(training_images / batch_size)
    batches = draw_batches(len(labels), batch_size, order)
    classifier.to(memory_format=LAYOUT)  # type: ignore[call-overload]  # its stub leaves this argument out
    curve, losses, correct, shown = [], 0.0, 0, 0
    with shard_workers() as workers:
        for step in range(1, steps + 1):
            rate = learning_rate * one_cycle((step - 1) / steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            chosen = next(batches).to(labels.device)
            batch = images[chosen].to(torch.float32) / 255
            if any(limits.values()):
                batch = warp(batch, draw_affine(batch_size, shapes, **limits).to(batch), interpolation)
            batch = batch.contiguous(memory_format=LAYOUT)
            loss, right = set_gradient(classifier, batch, labels[chosen], workers, dtype)
            if not math.isfinite(loss):
                raise StageError(f"loss is not finite after {step * batch_size:,} images; try a smaller learning_rate")
            optimiser.step()
            advance(batch_size, f"loss {loss:.3f}")

            losses, correct, shown = losses + loss * batch_size, correct + right, shown + batch_size
            if step * CURVE_POINTS // steps > (step - 1) * CURVE_POINTS // steps:
                point = {"images": step * batch_size, "learning_rate": rate}
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
