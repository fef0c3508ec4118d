"""Halving and doubling of resolution: cheap (`bilinear`), or with the filter of StyleGAN2 (`fir`).

Upwards they agree but for the border: bilinear interpolation is the [1, 3, 3, 1] filter with the edge repeated, `fir`
pads with zeros. Downwards, `bilinear` averages 2 x 2 pixels, `fir` filters 4 x 4 pixels before it drops some.
"""

from typing import Literal

import torch
from torch.nn import functional

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


def _kernel(x: torch.Tensor) -> torch.Tensor:
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    taps = taps / taps.sum()
    return (taps[:, None] * taps[None, :])[None, None]
