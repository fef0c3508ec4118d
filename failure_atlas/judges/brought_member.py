"""A brought classifier in the place of an ensemble's member: beside its answer it has features."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from failure_atlas.brought.adapter import Adapter
from failure_atlas.brought.checkpoint import load_brought
from failure_atlas.brought.onnx_form import FixedBatch
from failure_atlas.core.weights import read_description


class BroughtMember(nn.Module):
    """A brought classifier that is asked for features, too: what its last linear layer sees, or else its logits.

    The last layer is the last `nn.Linear` of as many outputs as there are classes. Where there is none, such as behind
    a server, where it is shown anything but one vector for each image, or an ONNX file fixes the batch, features are
    the logits: as many numbers as classes, so that distances between images are those between opinions.
    description: of its file, with the folder from the current one.
    """

    def __init__(self, brought: Adapter, description: dict[str, Any]) -> None:
        super().__init__()
        self.brought, self.description = brought, description
        self.differentiable = brought.differentiable
        self.architecture: dict[str, Any] = {"channels": brought.image_shape[0]}
        layers = [] if isinstance(brought.network, FixedBatch) else list(brought.network.modules())
        classes = len(brought.class_names)
        heads = [each for each in layers if isinstance(each, nn.Linear) and each.out_features == classes]
        self._head = heads[-1:]  # a list: it is the network's

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, C, H, W], float32 in [0, 1]."""
        logits: torch.Tensor = self.brought(images)
        return logits

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the last layer sees, [N, F], or the logits [N, classes]."""
        return self.examine(images)[0]

    def examine(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `features` and `forward` give, [N, F] and [N, classes], for the price of the second."""
        if not len(images):  # of which the network is not asked: as wide as those of one
            features, logits = self.examine(images.new_zeros(1, *images.shape[1:]))
            return features[:0], logits[:0]
        seen: list[torch.Tensor] = []
        hooks = [each.register_forward_pre_hook(lambda _, shown: seen.append(shown[0])) for each in self._head]
        try:
            logits = self(images)
        finally:
            for hook in hooks:
                hook.remove()
        of_images = [each.float() for each in seen if each.dim() == 2 and len(each) == len(images)]
        return (of_images or [logits])[-1], logits

    def describe(self, path: Path) -> dict[str, Any]:
        """What a file at this path says of it; the way to its folder starts there."""
        folder = os.path.relpath(self.description["folder"], path.parent)
        return self.description | {"folder": Path(folder).as_posix()}


def load_member(path: Path, device: torch.device) -> BroughtMember:
    """A brought classifier from its file, or from that of an ensemble of it; the errors of `load_brought`."""
    brought, description = load_brought(path, device), read_description(path)
    return BroughtMember(brought, description | {"folder": str(path.parent / description["folder"])})
