"""A network that reads real digits at any size, as a person brings it: the released judge's first member."""

from pathlib import Path

import numpy as np
import torch

from failure_atlas.core.arrays import write_arrays
from failure_atlas.images.frame import Frame, frame_all
from failure_atlas.images.sources import DIGITS, load_mnist_5k
from failure_atlas.judges.ensemble import load_ensemble
from tests.house import ROOT

ENTRY = {"load": "digits:Net", "weights": "weights.pt"}
COUNT = 100  # test images

# It averages over all places at the end, so that it takes images of any size; it was trained at 32 * shrink px, and
# normalises its input itself.
SOURCE = """
from torch import nn
from failure_atlas.classifiers.networks import Classifier


class Net(Classifier):
    def __init__(self, shrink=1):
        super().__init__("residual", classes=10, width=32)
        self.shrink = shrink

    def forward(self, x):
        return super().forward(nn.functional.avg_pool2d(x, self.shrink))
"""


def write_digit_reader(folder: Path) -> None:
    """Write module and weights into a folder, in place of what is there."""
    for file in folder.iterdir():
        file.unlink()
    (folder / "digits.py").write_text(SOURCE, encoding="utf-8")
    judge = load_ensemble(ROOT / "data" / "released" / "judge.safetensors", torch.device("cpu"))
    torch.save(judge.members[0].state_dict(), folder / "weights.pt")


def write_digits(path: Path) -> None:
    """Write an images store of the form that corrupt_images leaves: test images of mnist-5k, all of them clean."""
    train, test = load_mnist_5k(seed=1, test_fraction=0.2)
    sample, severity = ("sample",), np.zeros(COUNT, np.uint8)
    arrays = {
        "train_images": (frame_all(train.images[:COUNT], Frame(32, 1, "pad")), (*sample, "channel", "y", "x")),
        "train_labels": (train.labels[:COUNT], sample),
        "test_images": (frame_all(test.images[:COUNT], Frame(32, 1, "pad")), (*sample, "channel", "y", "x")),
        "test_labels": (test.labels[:COUNT], sample),
        "test_blur_severity": (severity, sample),
        "test_noise_severity": (severity, sample),
    }
    write_arrays(path, arrays, {"source": "mnist-5k", "class_names": list(DIGITS)})
