"""InceptionV3 (Szegedy et al. 2016) as a feature extractor, for the usual FID beside the judge's distance.

Parameter names and pooling follow the weights file that FID is computed with by convention (`pt_inception-2015-12-05`:
averages leave the padding out, the last block pools by maximum). The network is a table: a block is a list of
branches that are concatenated, a branch is a list of steps, and a step is a convolution or the pooling before it.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

SIZE_PX = 299
FEATURES = 2048


class Conv(NamedTuple):
    """One convolution of a branch; with stride 1 it keeps the size, with stride 2 it pads nothing."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


class Branch(NamedTuple):
    """Pooling (none, average, maximum, or maximum with stride 2), then steps, then `split` side by side."""

    pool: str = ""
    steps: tuple[Conv, ...] = ()
    split: tuple[Conv, ...] = ()


def _block_a(pool_channels: int) -> list[Branch]:
    return [
        Branch(steps=(Conv("branch1x1", 64),)),
        Branch(steps=(Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5)))),
        Branch(
            steps=(
                Conv("branch3x3dbl_1", 64),
                Conv("branch3x3dbl_2", 96, (3, 3)),
                Conv("branch3x3dbl_3", 96, (3, 3)),
            )
        ),
        Branch("average", (Conv("branch_pool", pool_channels),)),
    ]


def _block_b() -> list[Branch]:
    return [
        Branch(steps=(Conv("branch3x3", 384, (3, 3), 2),)),
        Branch(
            steps=(
                Conv("branch3x3dbl_1", 64),
                Conv("branch3x3dbl_2", 96, (3, 3)),
                Conv("branch3x3dbl_3", 96, (3, 3), 2),
            )
        ),
        Branch("halve"),
    ]


def _block_c(width: int) -> list[Branch]:
    return [
        Branch(steps=(Conv("branch1x1", 192),)),
        Branch(
            steps=(
                Conv("branch7x7_1", width),
                Conv("branch7x7_2", width, (1, 7)),
                Conv("branch7x7_3", 192, (7, 1)),
            )
        ),
        Branch(
            steps=(
                Conv("branch7x7dbl_1", width),
                Conv("branch7x7dbl_2", width, (7, 1)),
                Conv("branch7x7dbl_3", width, (1, 7)),
                Conv("branch7x7dbl_4", width, (7, 1)),
                Conv("branch7x7dbl_5", 192, (1, 7)),
            )
        ),
        Branch("average", (Conv("branch_pool", 192),)),
    ]


def _block_d() -> list[Branch]:
    return [
        Branch(steps=(Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, (3, 3), 2))),
        Branch(
            steps=(
                Conv("branch7x7x3_1", 192),
                Conv("branch7x7x3_2", 192, (1, 7)),
                Conv("branch7x7x3_3", 192, (7, 1)),
                Conv("branch7x7x3_4", 192, (3, 3), 2),
            )
        ),
        Branch("halve"),
    ]


def _block_e(pool: str) -> list[Branch]:
    return [
        Branch(steps=(Conv("branch1x1", 320),)),
        Branch(
            steps=(Conv("branch3x3_1", 384),),
            split=(Conv("branch3x3_2a", 384, (1, 3)), Conv("branch3x3_2b", 384, (3, 1))),
        ),
        Branch(
            steps=(Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, (3, 3))),
            split=(Conv("branch3x3dbl_3a", 384, (1, 3)), Conv("branch3x3dbl_3b", 384, (3, 1))),
        ),
        Branch(pool, (Conv("branch_pool", 192),)),
    ]


BLOCKS = {
    "Mixed_5b": _block_a(32),
    "Mixed_5c": _block_a(64),
    "Mixed_5d": _block_a(64),
    "Mixed_6a": _block_b(),
    "Mixed_6b": _block_c(128),
    "Mixed_6c": _block_c(160),
    "Mixed_6d": _block_c(160),
    "Mixed_6e": _block_c(192),
    "Mixed_7a": _block_d(),
    "Mixed_7b": _block_e("average"),
    "Mixed_7c": _block_e("maximum"),
}


class Inception(nn.Module):
    """Images [N, 1 or 3, H, W] in [0, 1] to features [N, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvolutionUnit(3, 32, (3, 3), 2, (0, 0))
        self.Conv2d_2a_3x3 = ConvolutionUnit(32, 32, (3, 3), 1, (0, 0))
        self.Conv2d_2b_3x3 = ConvolutionUnit(32, 64, (3, 3), 1, (1, 1))
        self.Conv2d_3b_1x1 = ConvolutionUnit(64, 80, (1, 1), 1, (0, 0))
        self.Conv2d_4a_3x3 = ConvolutionUnit(80, 192, (3, 3), 1, (0, 0))
        channels = 192
        for name, branches in BLOCKS.items():
            block = Mixed(channels, branches)
            self.add_module(name, block)
            channels = block.channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scale to 299 px and [-1, 1], repeat grey as colour, and average the last block over the image."""
        x = functional.interpolate(images, size=(SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1) * 2 - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


class Mixed(nn.Module):
    """One block: its branches side by side on the same input."""

    def __init__(self, channels: int, branches: list[Branch]) -> None:
        super().__init__()
        self.branches = branches
        self.channels = 0
        for branch in branches:
            inputs = channels
            for step in branch.steps:
                self.add_module(step.name, _build(inputs, step))
                inputs = step.channels
            for leaf in branch.split:
                self.add_module(leaf.name, _build(inputs, leaf))
            self.channels += sum(leaf.channels for leaf in branch.split) or inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate what the branches make, along the channels."""
        return torch.cat([self._run(branch, x) for branch in self.branches], dim=1)

    def _run(self, branch: Branch, x: torch.Tensor) -> torch.Tensor:
        if branch.pool:
            x = _pool(branch.pool, x)
        for step in branch.steps:
            x = self.get_submodule(step.name)(x)
        if branch.split:
            x = torch.cat([self.get_submodule(leaf.name)(x) for leaf in branch.split], dim=1)
        return x


class ConvolutionUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, padding: tuple[int, int]
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, outputs, H', W']."""
        return functional.relu(self.bn(self.conv(x)))


def _build(inputs: int, conv: Conv) -> ConvolutionUnit:
    padding = (conv.kernel[0] // 2, conv.kernel[1] // 2) if conv.stride == 1 else (0, 0)
    return ConvolutionUnit(inputs, conv.channels, conv.kernel, conv.stride, padding)


def _pool(kind: str, x: torch.Tensor) -> torch.Tensor:
    if kind == "average":
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    if kind == "maximum":
        return functional.max_pool2d(x, 3, stride=1, padding=1)
    return functional.max_pool2d(x, 3, stride=2)
