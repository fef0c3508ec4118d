"""A raw image as it will be stored, in bytes, with a gradient: what the generator's teachers look at in training.

Shown unrounded and unclamped images, a discriminator teaches a black that is not black: real ones are saturated there.
"""

from typing import Any

import torch

# How far beyond black and white a raw value is still pulled outwards. A saturated pixel does not change when it is
# pushed outwards, so nobody would ever stop the push; without any margin, every push back inwards would count and none
# outwards, and black would drift to dark grey.
MARGIN = 0.5


class _Store(torch.autograd.Function):
    """Clamping and rounding whose gradient is that of the identity, but for pushes outwards beyond the margin."""

    @staticmethod
    def forward(ctx: Any, raw: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(raw)
        return ((raw + 1) * 127.5).clamp(0, 255).round() / 127.5 - 1

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (raw,), (gradient,) = ctx.saved_tensors, gradients
        # Descent moves against the gradient.
        outwards = ((raw < -1 - MARGIN) & (gradient > 0)) | ((raw > 1 + MARGIN) & (gradient < 0))
        return gradient.masked_fill(outwards, 0)


def as_stored(raw: torch.Tensor) -> torch.Tensor:
    """A raw image, nominally in [-1, 1], clamped and rounded to one of 256 values in [-1, 1]; float32, of its shape.

    The gradient passes straight through (Bengio et al. 2013), except that values farther than MARGIN outside are not
    pushed on.
    """
    stored: torch.Tensor = _Store.apply(raw.float())  # type: ignore[no-untyped-call]
    return stored
