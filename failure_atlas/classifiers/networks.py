"""Whether gradients go through a classifier.

Four small convolutional classifiers of different families: one kind to test, one to judge, one to check the judge, one
to check what was tuned to the check.

All take grey or colour images of any size from 16 px, scale them themselves, are smooth (no gradient is blocked
anywhere), and treat each image alone, in training too: group normalisation, not batch normalisation. The fixed
statistics of the latter would make a network that was trained on clean images guess on all corrupted ones (measured:
12 % right instead of 60 to 70 %), which leaves no gradual failure to study.

A classifier on disk: weights, batch statistics and architecture in one file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, save_tensors


def is_differentiable(classifier: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """What the classifier's attribute `differentiable` says; True where it has none, as in those trained here."""
    return bool(getattr(classifier, "differentiable", True))


GROUPS = 8
MEAN, STD = 0.25, 0.35  # about those of framed digits; the first layer learns the rest
FLATTEST = 0.02  # standard deviation below which contrast is no longer drawn out: two grey levels of noise


class Classifier(nn.Module):
    """Images to features to logits.

    standardize: each image is brought to mean 0 and a standard deviation near 1 first, so that a dark one looks like a
    light one.  grid: the last layer sees the maps averaged in grid x grid places; 1: over the whole image.
    architecture: the arguments that build it again, for the checkpoint.
    """

    def __init__(
        self,
        network: str,
        classes: int,
        width: int = 32,
        channels: int = 1,
        standardize: bool = False,
        grid: int = 1,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {
            "network": network, "classes": classes, "width": width, "channels": channels,
            **({"standardize": True} if standardize else {}), **({"grid": grid} if grid > 1 else {}),
        }  # fmt: skip
        self.standardize, self.grid = standardize, grid
        self.trunk, features = TRUNKS[network](channels, width)
        self.head = nn.Linear(features * grid**2, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, C, H, W], float32 in [0, 1]."""
        return self.examine(images)[1]

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The representation before the last layer, averaged over places, [N, F]."""
        return self._map(images).mean(dim=(2, 3))

    def examine(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `features` and `forward` give, [N, F] and [N, classes], for the price of the second."""
        maps = self._map(images)
        features = maps.mean(dim=(2, 3))
        placed = features if self.grid == 1 else functional.adaptive_avg_pool2d(maps, self.grid).flatten(1)
        return features, self.head(placed)

    def _map(self, images: torch.Tensor) -> torch.Tensor:
        if self.standardize and len(images):  # of none there is no variance, and torch warns
            variance, mean = torch.var_mean(images, (1, 2, 3), correction=0, keepdim=True)
            seen = (images - mean) / (variance + FLATTEST**2).sqrt()
        else:
            seen = (images - MEAN) / STD
        maps: torch.Tensor = self.trunk(seen)
        return maps


def build_plain(channels: int, width: int) -> tuple[nn.Module, int]:
    """Five convolutions, three of them strided, SiLU: the architecture under test; 4 * width features."""
    return (
        nn.Sequential(
            _convolution(channels, width, kernel=5, stride=2),
            _convolution(width, 2 * width, kernel=3, stride=2),
            _convolution(2 * width, 2 * width, kernel=3),
            _convolution(2 * width, 4 * width, kernel=3, stride=2),
            _convolution(4 * width, 4 * width, kernel=3),
        ),
        4 * width,
    )


def build_residual(channels: int, width: int) -> tuple[nn.Module, int]:
    """Residual blocks between average pooling, GELU: the judge's architecture; 2 * width features."""
    return (
        nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.AvgPool2d(2),
            ResidualBlock(width, width),
            nn.AvgPool2d(2),
            ResidualBlock(width, 2 * width),
            nn.AvgPool2d(2),
            ResidualBlock(2 * width, 2 * width),
            nn.GroupNorm(GROUPS, 2 * width),
            nn.GELU(),
        ),
        2 * width,
    )


def build_mixer(channels: int, width: int) -> tuple[nn.Module, int]:
    """Patches of 4 px, mixed in space and between channels by turns (ConvMixer; Trockman and Kolter 2022), GELU.

    The auditor's architecture: no pyramid and no 3 x 3 kernels, unlike the judge's; 3 * width features.
    """
    size = 3 * width
    stem = nn.Sequential(nn.Conv2d(channels, size, PATCH, stride=PATCH), nn.GELU(), nn.GroupNorm(1, size))
    return nn.Sequential(stem, *(MixerBlock(size) for _ in range(MIXER_BLOCKS))), size


def build_pooled(channels: int, width: int) -> tuple[nn.Module, int]:
    """Pairs of 3 x 3 convolutions between max pooling (VGG; Simonyan and Zisserman 2015), SiLU; 4 * width features."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [_convolution(inputs, outputs, kernel=3), _convolution(outputs, outputs, kernel=3), nn.MaxPool2d(2)]
    return nn.Sequential(*layers), 4 * width


TRUNKS = {"plain": build_plain, "residual": build_residual, "mixer": build_mixer, "pooled": build_pooled}
PATCH, MIXER_BLOCKS, MIXER_KERNEL = 4, 6, 5


class MixerBlock(nn.Module):
    """x + a depthwise convolution of x, then a pointwise one; each activated and normalised over the whole image."""

    def __init__(self, size: int) -> None:
        super().__init__()
        space = nn.Conv2d(size, size, MIXER_KERNEL, padding=MIXER_KERNEL // 2, groups=size)
        self.space = nn.Sequential(space, nn.GELU(), nn.GroupNorm(1, size))
        self.channels = nn.Sequential(nn.Conv2d(size, size, 1), nn.GELU(), nn.GroupNorm(1, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, size, H, W] to the same."""
        out: torch.Tensor = self.channels(x + self.space(x))
        return out


class ResidualBlock(nn.Module):
    """x + f(x) with f = two normalised, activated 3 x 3 convolutions (pre-activation; He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(GROUPS, inputs),
            nn.GELU(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.GroupNorm(GROUPS, outputs),
            nn.GELU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        out: torch.Tensor = self.skip(x) + self.body(x)
        return out


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(GROUPS, outputs),
        nn.SiLU(),
    )


KIND = "classifier"


def save_classifier(path: Path, classifier: Classifier) -> None:
    """Write the classifier so that `load_classifier` needs nothing but this file."""
    save_tensors(path, classifier.state_dict(), {"kind": KIND, "architecture": classifier.architecture})


def load_classifier(path: Path, device: torch.device) -> Classifier:
    """The classifier of a file, in evaluation mode, its parameters without gradients.

    Raises StageError if the file is missing, damaged, or of an architecture that this version does not know.
    """
    tensors, description = load_tensors(path, KIND)
    try:
        classifier = Classifier(**description["architecture"])
        classifier.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(
            f"{path}: holds no classifier that this version can build ({reason}); train it again"
        ) from error
    return classifier.to(device).eval().requires_grad_(False)
