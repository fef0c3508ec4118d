"""A snapshot changed: its discriminator widened, so that training goes on, or slimmed for a release.

Widening is after Net2WiderNet (Chen, Goodfellow, Shlens 2016), with one difference: new channels are not copies of old
ones but fresh, and what they say is multiplied by zero at first. A discriminator that a generator has outgrown can be
widened so; a fresh wide one loses against a trained generator and never recovers.

A slim snapshot has no moments of the optimisers: about a third smaller, for a release that few will train on.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.discriminator import Discriminator
from failure_atlas.stylegan2.state import KIND, MOMENTS, load_discriminator
from stages.common.command import run_stage

STATISTIC = "conv.weight"  # its last input is the minibatch standard deviation, which stays the last
CLASSES = "embedding."
MOMENTS_OF = ("generator_optimizer.", "discriminator_optimizer.", "critic_optimizer.")


def main(
    snapshot: Annotated[Path, typer.Argument(help="The snapshot.safetensors to change.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    channels: Annotated[
        list[int] | None, typer.Option(help="Widen the discriminator: width at 4, 8, 16, ... px, once for each.")
    ] = None,
    slim: Annotated[bool, typer.Option("--slim", help="Leave out the moments of Adam.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the new weights.")] = 1,
) -> None:
    """Widen the discriminator of a snapshot, or leave its optimisers' moments out; all else stays as it is.

    Go on from a widened one with `train_stylegan2.resume` and the same `discriminator_channels` in params.yaml. A
    training that goes on from a slim one starts with fresh moments, as the first step of any training does.
    """
    tensors, description = load_tensors(snapshot, KIND)
    if channels:
        wide = widen_discriminator(
            load_discriminator(snapshot, torch.device("cpu")), tuple(channels), torch.Generator().manual_seed(seed)
        )
        description |= {"discriminator": wide.architecture.describe()}
        tensors |= {f"discriminator.{name}": tensor for name, tensor in wide.state_dict().items()}
        for name, parameter in wide.named_parameters():
            keys = {key: f"discriminator_optimizer.{name}.{key}" for key in MOMENTS}
            if keys["step"] in tensors:
                moments = {key: tensors[held] for key, held in keys.items()}
                widened = _widen_moments(name, moments, parameter)
                tensors |= {keys[key]: moment for key, moment in widened.items()}
    if slim:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(MOMENTS_OF)}
    save_tensors(out, tensors, description)


def widen_discriminator(narrow: Discriminator, channels: tuple[int, ...], random: torch.Generator) -> Discriminator:
    """A discriminator of these widths whose scores are those of the narrow one.

    But for rounding, and for the minibatch standard deviation, which averages over new channels at 4 px too.
    Raises StageError if a width is smaller than it was, or their number differs.
    """
    held = narrow.architecture.channels
    if len(channels) != len(held) or any(new < old for new, old in zip(channels, held, strict=True)):
        raise StageError(f"--channels: got {list(channels)}; allowed: {len(held)} widths, each at least {list(held)}")
    wide = Discriminator(replace(narrow.architecture, channels=channels))
    with torch.no_grad():
        for name, parameter in wide.named_parameters():
            parameter.copy_(_widen(name, narrow.get_parameter(name), parameter.shape, random))
    return wide.eval()


def _widen(name: str, old: torch.Tensor, shape: torch.Size, random: torch.Generator) -> torch.Tensor:
    """The weights of a wider layer: old outputs ignore new inputs, new outputs are fresh."""
    if old.shape == shape:
        return old
    if len(shape) == 1 or name.startswith(CLASSES):  # biases; and classes, for which new features do not count yet
        wide = torch.zeros(shape)
        wide[: len(old)] = old
        return wide
    wide = torch.randn(shape, generator=random)
    wide[: len(old)] = 0
    wide[: len(old), _places(name, old, shape)] = old * _rescale(old, shape)
    return wide


def _widen_moments(name: str, moments: dict[str, torch.Tensor], wide: torch.Tensor) -> dict[str, torch.Tensor]:
    """Adam's moments: a weight that stands for 1/r of the old one has r times its gradient's inverse; new ones start
    with the layer's mean square, so that their first steps are no larger than those of their neighbours."""
    old = moments["exp_avg_sq"]
    if old.shape == wide.shape:
        return moments
    square = torch.full(wide.shape, float(old.mean()))
    if len(wide.shape) == 1 or name.startswith(CLASSES):
        square[: len(old)] = old
    else:
        scale = _rescale(old, wide.shape)
        square[: len(old)] = old.mean() / scale**2
        square[: len(old), _places(name, old, wide.shape)] = old / scale**2
    return {"exp_avg_sq": square, "step": moments["step"]}


def _places(name: str, old: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Where old inputs stand among the new ones, int64 [old inputs]."""
    places = torch.arange(old.shape[1])
    if name == STATISTIC:
        places[-1] = shape[1] - 1
    return places


def _rescale(old: torch.Tensor, shape: torch.Size) -> float:
    """Equalised layers divide by the root of their fan-in, which has grown."""
    return math.sqrt(math.prod(shape[1:]) / math.prod(old.shape[1:]))


if __name__ == "__main__":
    run_stage(main, "train_stylegan2.snapshots")
