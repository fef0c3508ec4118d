"""Layers with equalised learning rate (Karras et al. 2018, 4.1) and the activation of StyleGAN2.

z -> w: the mapping network with class embedding (Karras et al. 2020, ADA, conditional setting).

Halving and doubling of resolution: cheap (`bilinear`), or with the filter of StyleGAN2 (`fir`).

Upwards they agree but for the border: bilinear interpolation is the [1, 3, 3, 1] filter with the edge repeated, `fir`
pads with zeros. Downwards, `bilinear` averages 2 x 2 pixels, `fir` filters 4 x 4 pixels before it drops some.
"""

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

LEAK = 0.2
ACTIVATION_GAIN = math.sqrt(2)  # keeps unit variance


def activate(x: torch.Tensor, gain: float = ACTIVATION_GAIN) -> torch.Tensor:
    """Leaky ReLU, scaled.

    Where x is large, scale what makes it instead and pass gain 1: leaky ReLU commutes with positive factors, and a
    factor on weights and biases saves a pass over all pixels, forwards and backwards.
    """
    x = functional.leaky_relu(x, LEAK)
    return x if gain == 1 else x * gain


class EqualizedLinear(nn.Module):
    """Linear layer whose weights are stored at unit variance and scaled at run time.

    learning_rate_scale: how fast this layer learns against the others (0.01 in the mapping network).
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, learning_rate_scale: float = 1.0, use_bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate_scale)
        self.bias = nn.Parameter(torch.full((outputs,), bias / learning_rate_scale)) if use_bias else None
        self._weight_gain = learning_rate_scale / math.sqrt(inputs)
        self._bias_gain = learning_rate_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, inputs]. Returns [N, outputs]."""
        bias = self.bias * self._bias_gain if self.bias is not None else None
        return functional.linear(x, self.weight * self._weight_gain, bias)


class EqualizedConv(nn.Module):
    """Square convolution with padding to the same size, weights scaled at run time."""

    def __init__(self, inputs: int, outputs: int, kernel_px: int, *, use_bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel_px, kernel_px))
        self.bias = nn.Parameter(torch.zeros(outputs)) if use_bias else None
        self._gain = 1 / math.sqrt(inputs * kernel_px**2)

    def forward(self, x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
        """x: [N, inputs, H, W]. Returns [N, outputs, H, W], times gain."""
        bias = self.bias * gain if self.bias is not None and gain != 1 else self.bias
        return functional.conv2d(x, self.weight * (self._gain * gain), bias, padding=self.weight.shape[-1] // 2)

    def activated(self, x: torch.Tensor, gain: float = ACTIVATION_GAIN) -> torch.Tensor:
        """The convolution and then the activation, scaled by gain."""
        return activate(self(x, gain), gain=1)


def normalize_second_moment(x: torch.Tensor) -> torch.Tensor:
    """Scale each row of [N, F] to a mean square of one."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


LEARNING_RATE_SCALE = 0.01


class MappingNetwork(nn.Module):
    """Normalised latent and normalised class embedding, through fully connected layers.

    num_classes: 0 where there is no embedding, and labels change nothing.
    """

    def __init__(self, z_dim: int, w_dim: int, num_classes: int, layers: int) -> None:
        super().__init__()
        self.embedding = EqualizedLinear(num_classes, w_dim) if num_classes else None
        widths = [z_dim + (w_dim if num_classes else 0), *[w_dim] * layers]
        self.layers = nn.ModuleList(
            EqualizedLinear(inputs, outputs, learning_rate_scale=LEARNING_RATE_SCALE)
            for inputs, outputs in pairwise(widths)
        )
        self.num_classes = num_classes

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """z: [N, z_dim] standard normal; labels: [N] int64. Returns w [N, w_dim]."""
        x = normalize_second_moment(z)
        if self.embedding is not None:
            classes = nn.functional.one_hot(labels, self.num_classes).to(z.dtype)
            x = torch.cat([x, normalize_second_moment(self.embedding(classes))], dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x


Resampling = Literal["bilinear", "fir"]
TAPS = (1.0, 3.0, 3.0, 1.0)


def upsample(x: torch.Tensor, resampling: Resampling) -> torch.Tensor:
    """Double the resolution of [N, C, H, W]."""
    if resampling == "bilinear":
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    channels = x.shape[1]
    kernel = _kernel(x) * 4  # zeros inserted between pixels quarter the mean
    # A transposed convolution inserts the zeros and filters in one step; padding 1 centres the 4 taps.
    return functional.conv_transpose2d(x, kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


def downsample(x: torch.Tensor, resampling: Resampling) -> torch.Tensor:
    """Halve the resolution of [N, C, H, W]."""
    if resampling == "bilinear":
        return functional.avg_pool2d(x, 2)
    channels = x.shape[1]
    return functional.conv2d(x, _kernel(x).expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


def smooth(x: torch.Tensor) -> torch.Tensor:
    """Filter what a transposed convolution of stride 2 left, [N, C, 2 H + 1, 2 W + 1], to [N, C, 2 H, 2 W]."""
    channels = x.shape[1]
    kernel = (_kernel(x) * 4).expand(channels, 1, 4, 4)  # zeros inserted between pixels quarter the mean
    return functional.conv2d(x, kernel, padding=1, groups=channels)


def _kernel(x: torch.Tensor) -> torch.Tensor:
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    taps = taps / taps.sum()
    return (taps[:, None] * taps[None, :])[None, None]
