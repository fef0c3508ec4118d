"""A wider discriminator that gives the same scores, so that training goes on instead of starting anew.

After Net2WiderNet (Chen, Goodfellow, Shlens 2016), with one difference: new channels are not copies of old ones but
fresh, and what they say is multiplied by zero at first. A discriminator that a generator has outgrown can be widened
so; a fresh wide one loses against a trained generator and never recovers.
"""

import math
from dataclasses import replace

import torch

from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.discriminator import Discriminator

STATISTIC = "conv.weight"  # its last input is the minibatch standard deviation, which stays the last
CLASSES = "embedding."


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


def widen_moments(name: str, moments: dict[str, torch.Tensor], wide: torch.Tensor) -> dict[str, torch.Tensor]:
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
