"""A classifier under test from its file, whether it was trained here or brought."""

from pathlib import Path

import torch
from torch import nn

from stages.bring_classifiers.checkpoint import KIND, REFUSED, load_brought
from stages.common.weights import read_description
from stages.train_classifiers.checkpoint import load_classifier as load_trained


def load_classifier(path: Path, device: torch.device) -> nn.Module:
    """The classifier of a file of train_classifiers or bring_classifiers, in evaluation mode, without gradients.

    It maps images [N, C, H, W], float32 in [0, 1] as the data has them, to logits [N, classes] in the order of the
    data's classes. `stages.bring_classifiers.differentiable.is_differentiable` says whether gradients go through it.
    Raises StageError if the file is missing, damaged or of another kind, or if what was brought has changed since.
    """
    brought = read_description(path).get("kind") in (KIND, REFUSED)
    return load_brought(path, device) if brought else load_trained(path, device)
