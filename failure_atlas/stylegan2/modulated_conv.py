"""Convolutions steered by a style (Karras et al. 2020, 2.2), in the form that shares weights across the batch.

Scaling the weights of each sample by its style equals scaling the sample's input channels, and demodulating the weights
equals scaling the output channels. So one ordinary convolution serves the whole batch, where per-sample weights would
need a grouped one.
"""

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from failure_atlas.stylegan2.layers import ACTIVATION_GAIN, Resampling, activate, smooth, upsample

DEMODULATION_EPSILON = 1e-8
NoiseScale = Literal["layer", "channel"]


class ModulatedConv(nn.Module):
    """3 x 3 convolution, modulated and demodulated, then per-pixel noise, bias and activation.

    up: double the resolution first.  noise_scale, filter_last, clamp: see `GeneratorArchitecture`. `noise` is the
    constant noise, for whoever wants the same in every image.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        resolution_px: int,
        *,
        up: bool,
        resampling: Resampling,
        noise_scale: NoiseScale = "layer",
        filter_last: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # One number, or one for each channel: broadcast over [outputs, H, W].
        self.noise_strength = nn.Parameter(torch.zeros(() if noise_scale == "layer" else (outputs, 1, 1)))
        self.noise: torch.Tensor
        self.register_buffer("noise", torch.randn(resolution_px, resolution_px))
        self.up, self.resampling, self.filter_last, self.clamp = up, resampling, filter_last, clamp
        self._gain = 1 / math.sqrt(inputs * 9)

    def forward(self, x: torch.Tensor, styles: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """x: [N, inputs, H, W]; styles: [N, inputs]; noise: [N, 1, H', W'], or None for the constant noise."""
        weight = self.weight * self._gain
        demodulation = torch.rsqrt(styles.square() @ weight.square().sum(dim=(2, 3)).T + DEMODULATION_EPSILON)
        x = x * styles[:, :, None, None].to(x.dtype)
        if self.up and self.filter_last:
            # The published order: filtered first, what lies beyond the border would be cut before the convolution.
            x = smooth(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = upsample(x, self.resampling) if self.up else x
            x = functional.conv2d(x, weight, padding=1)
        noise = self.noise if noise is None else noise
        # The activation's gain goes into the three small terms: x itself is read and written as rarely as may be.
        demodulation = (demodulation * ACTIVATION_GAIN)[:, :, None, None].to(x.dtype)
        noise = (noise * (self.noise_strength * ACTIVATION_GAIN)).to(x.dtype)
        x = torch.addcmul(noise, x, demodulation) + (self.bias * ACTIVATION_GAIN)[:, None, None].to(x.dtype)
        x = activate(x, gain=1)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class ToImage(nn.Module):
    """1 x 1 modulated convolution to image channels, without demodulation (the tRGB layer).

    Its styles are scaled by 1/sqrt(inputs) inside; the style space S holds them before that gain.
    """

    def __init__(self, inputs: int, image_channels: int, clamp: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(image_channels, inputs))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self._gain, self.clamp = 1 / math.sqrt(inputs), clamp

    def forward(self, x: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        """x: [N, inputs, H, W]; styles: [N, inputs]. Returns [N, image_channels, H, W] float32."""
        # With so few output channels, weights for each sample are less to compute than scaled inputs.
        weight = (styles[:, None, :] * (self.weight * self._gain)).to(x.dtype)
        image = torch.bmm(weight, x.flatten(2)).view(len(x), len(self.weight), *x.shape[2:]).float()
        image = image + self.bias[:, None, None]
        return image if self.clamp is None else image.clamp(-self.clamp, self.clamp)
