"""Layers with equalised learning rate (Karras et al. 2018, 4.1) and the activation of StyleGAN2."""

import math

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
