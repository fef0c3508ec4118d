"""Residual discriminator with minibatch standard deviation and label projection, and the losses that it teaches by.

Non-saturating adversarial losses (Goodfellow et al. 2014) and the R1 penalty (Mescheder et al. 2018).
"""

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from failure_atlas.stylegan2.layers import (
    ACTIVATION_GAIN,
    EqualizedConv,
    EqualizedLinear,
    Resampling,
    activate,
    downsample,
    normalize_second_moment,
)

Stem = Literal["space_to_depth", "pixels"]


@dataclass(frozen=True)
class DiscriminatorArchitecture:
    """All that is needed to build a discriminator; `channels` are the widths at 4, 8, 16, ... px."""

    num_classes: int
    channels: tuple[int, ...]
    image_channels: int
    stem: Stem
    minibatch_std_group: int
    resampling: Resampling

    def describe(self) -> dict[str, object]:
        """As plain JSON."""
        return asdict(self) | {"channels": list(self.channels)}


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a 1 x 1 shortcut, to half the resolution."""

    def __init__(self, inputs: int, outputs: int, resampling: Resampling) -> None:
        super().__init__()
        self.conv0 = EqualizedConv(inputs, inputs, 3)
        self.conv1 = EqualizedConv(inputs, outputs, 3)
        self.shortcut = EqualizedConv(inputs, outputs, 1, use_bias=False)
        self.resampling = resampling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, inputs, H, W]. Returns [N, outputs, H/2, W/2]."""
        inner = downsample(self.conv0.activated(x), self.resampling)
        # The sum of two is halved in variance, each before it is added.
        residual: torch.Tensor = self.conv1.activated(inner, gain=ACTIVATION_GAIN * math.sqrt(0.5))
        shortcut: torch.Tensor = self.shortcut(downsample(x, self.resampling), gain=math.sqrt(0.5))
        return residual + shortcut


class Discriminator(nn.Module):
    """Scores how real an image is as a member of its class.

    The stem `space_to_depth` folds 2 x 2 pixels into channels and so starts at half the resolution, where a
    convolution costs a quarter; `pixels` is the stem of StyleGAN2. The score is feature . embedding(label) /
    sqrt(features) (Miyato and Koyama 2018).
    """

    def __init__(self, architecture: DiscriminatorArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        channels = architecture.channels
        folded = architecture.stem == "space_to_depth"
        top = len(channels) - (2 if folded else 1)
        fold = 4 if folded else 1
        self.stem = EqualizedConv(architecture.image_channels * fold, channels[top], 3 if folded else 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels[level], channels[level - 1], architecture.resampling) for level in range(top, 0, -1)
        )
        features = channels[0]
        self.conv = EqualizedConv(features + 1, features, 3)
        self.dense = EqualizedLinear(features * 16, features)
        self.output = EqualizedLinear(features, features)
        self.embedding = EqualizedLinear(architecture.num_classes, features)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """images: [N, C, size, size], nominally in [-1, 1]; labels: [N] int64. Returns logits [N]."""
        maps = append_minibatch_std(self.describe(images), self.architecture.minibatch_std_group)
        return self.conclude(maps, labels)

    def describe(self, images: torch.Tensor) -> torch.Tensor:
        """Feature maps [N, F, 4, 4] of each image by itself; what follows in `forward` looks at its company."""
        x = functional.pixel_unshuffle(images, 2) if self.architecture.stem == "space_to_depth" else images
        x = self.stem.activated(x)
        for block in self.blocks:
            x = block(x)
        return x

    def conclude(self, maps: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Logits [N] of feature maps with the channel of the minibatch standard deviation, [N, F + 1, 4, 4]."""
        x = self.conv.activated(maps)
        with torch.autocast(x.device.type, enabled=False):  # the score in full
            features: torch.Tensor = self.output(activate(self.dense(x.flatten(1).to(self.dense.weight.dtype))))
            classes = functional.one_hot(labels, self.architecture.num_classes).to(features.dtype)
            embedded = normalize_second_moment(self.embedding(classes))
            return (features * embedded).sum(dim=1) / math.sqrt(features.shape[1])


def append_minibatch_std(x: torch.Tensor, group: int) -> torch.Tensor:
    """Append to [N, C, H, W] one channel: the mean standard deviation over groups of samples (Karras et al. 2018, 3).

    Sample i belongs to group i // group, so that real and fake halves of a batch, or the halves of two workers, never
    share one. Raises ValueError if N is no multiple of the group.
    """
    n, channels, height, width = x.shape
    if n % group:
        raise ValueError(f"a batch of {n} cannot be cut into groups of {group}")
    grouped = x.reshape(n // group, group, channels, height, width).float()
    deviation = (grouped.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    plane = deviation.repeat_interleave(group)[:, None, None, None].to(x.dtype)
    return torch.cat([x, plane.expand(n, 1, height, width)], dim=1)


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid(D(real)) - log(1 - sigmoid(D(fake))); 2 ln 2 when D knows nothing."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Mean of -log sigmoid(D(fake))."""
    return functional.softplus(-fake_logits).mean()


def r1_penalty(real_logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean squared gradient norm of D at real images or features, differentiable; to be weighted by gamma / 2.

    real: [N, ...], with gradients required, from which real_logits [N] were computed.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()
