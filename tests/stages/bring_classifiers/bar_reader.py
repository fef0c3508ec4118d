"""A network that reads the bars of `tiny_images` by a formula, as a person brings it: a module file and weights."""

from pathlib import Path

import torch

ENTRY = {"load": "bars:Reader", "weights": "weights.pt"}

# Class k is a bright bar in columns 1 + 3 k to 3 + 3 k. The network looks for the band whose mean is that of a bar,
# so that images in another range, polarity or normalisation, or turned, are nothing to it.
SOURCE = """
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, classes=10, size=32, channels=1):
        super().__init__()
        self.bands = nn.Conv2d(channels, classes, (size - 8, size), bias=False)
        self.level = nn.Parameter(torch.zeros(()))
        self.sharpness = nn.Parameter(torch.ones(()))

    def forward(self, x):
        bands = self.bands(x[:, :, 4:-4]).flatten(1)
        return -self.sharpness * (bands - self.level) ** 2
"""


def bar_weights(mean: float = 0.0, std: float = 1.0, size: int = 32, channels: int = 1) -> dict[str, torch.Tensor]:
    """The reader's state dict, for images from which `mean` is subtracted and which `std` divides."""
    bands = torch.zeros(10, channels, size - 8, size)
    left = (32 - size) // 2
    for label in range(10):
        first, last = 1 + 3 * label - left, 4 + 3 * label - left
        columns = slice(max(first, 0), min(last, size))
        bands[label, :, :, columns] = 1.0
        bands[label] /= bands[label].sum()
    return {"bands.weight": bands, "level": torch.tensor((0.85 - mean) / std), "sharpness": torch.tensor(20 * std**2)}


def write_brought(folder: Path, source: str = SOURCE, **options: float) -> Path:
    """Write module and weights; options: of `bar_weights`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.py").write_text(source, encoding="utf-8")
    torch.save(bar_weights(**options), folder / "weights.pt")  # type: ignore[arg-type]
    return folder
