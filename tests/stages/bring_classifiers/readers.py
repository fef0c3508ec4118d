"""Networks as a person brings them, a module file and weights: for the bars of `tiny_images`, and for real digits."""

import numpy as np
import torch

from failure_atlas.brought.adapter import AS_IT_IS, Adapter
from failure_atlas.core.arrays import write_arrays
from failure_atlas.images.frame import Frame, frame_all
from failure_atlas.images.image_set import ImageSet, Severities
from failure_atlas.images.sources import DIGITS, load_mnist_5k
from failure_atlas.judges.ensemble import load_ensemble
from stages.common.artefacts.images import named_arrays, named_severities
from tests.house import ROOT

ENTRY = {"load": "bars:Reader", "weights": "weights.pt"}
DIGITS_ENTRY = {"load": "digits:Net", "weights": "weights.pt"}
COUNT = 100  # test images of digits

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

# The released judge's first member. It averages over all places at the end, so that it takes images of any size; it was
# trained at 32 * shrink px, and normalises its input itself.
DIGITS_SOURCE = """
from torch import nn
from failure_atlas.classifiers.networks import Classifier


class Net(Classifier):
    def __init__(self, shrink=1):
        super().__init__("residual", classes=10, width=32)
        self.shrink = shrink

    def forward(self, x):
        return super().forward(nn.functional.avg_pool2d(x, self.shrink))
"""


def bar_weights(mean=0.0, std=1.0, size=32, channels=1):
    """The reader's state dict, for images from which `mean` is subtracted and which `std` divides."""
    bands = torch.zeros(10, channels, size - 8, size)
    left = (32 - size) // 2
    for label in range(10):
        first, last = 1 + 3 * label - left, 4 + 3 * label - left
        bands[label, :, :, max(first, 0) : min(last, size)] = 1.0
        bands[label] /= bands[label].sum()
    return {"bands.weight": bands, "level": torch.tensor((0.85 - mean) / std), "sharpness": torch.tensor(20 * std**2)}


def write_brought(folder, source=SOURCE, **options):
    """Write module and weights; options: of `bar_weights`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.py").write_text(source, encoding="utf-8")
    torch.save(bar_weights(**options), folder / "weights.pt")
    return folder


def write_digit_reader(folder):
    """Write module and weights into a folder, in place of what is there."""
    for file in folder.iterdir():
        file.unlink()
    (folder / "digits.py").write_text(DIGITS_SOURCE, encoding="utf-8")
    judge = load_ensemble(ROOT / "data" / "released" / "judge.safetensors", torch.device("cpu"))
    torch.save(judge.members[0].state_dict(), folder / "weights.pt")


def write_digits(path):
    """Write an images store of the form that corrupt_images leaves: test images of mnist-5k, all of them clean."""
    parts = load_mnist_5k(seed=1, test_fraction=0.2)
    framed = [ImageSet(frame_all(part.images[:COUNT], Frame(32, 1, "pad")), part.labels[:COUNT]) for part in parts]
    clean = Severities(dict.fromkeys(("blur", "noise"), np.zeros(COUNT, np.uint8)))
    arrays = named_arrays("train", framed[0]) | named_arrays("test", framed[1]) | named_severities("test", clean)
    write_arrays(path, arrays, {"source": "mnist-5k", "class_names": list(DIGITS)})


def adapt(network, image_shape, names, *, class_order=None, outputs="logits", name="the classifier", **shown):
    """An adapter without an entry of params; shown: of its input."""
    options = {"class_order": class_order, "outputs": outputs, "name": name}
    return Adapter(network, image_shape, names, AS_IT_IS.model_copy(update=shown), **options)
