"""Images with their labels and severities, in bytes and as networks see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Split = Literal["train", "test"]


@dataclass(frozen=True)
class ImageSet:
    """images: uint8 [N, C, H, W].  labels: int64 [N]."""

    images: np.ndarray
    labels: np.ndarray


def to_unit(images: np.ndarray) -> torch.Tensor:
    """uint8 images as float32 in [0, 1], of the same shape: x / 255."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32) / 255


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images in [0, 1] as they are stored: uint8, rounded."""
    return (images * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Severities:
    """by_step: step -> uint8 [N], 1 to 5, or 0 for all where the image is clean; in the order of the recipe."""

    by_step: Mapping[str, np.ndarray]

    @property
    def clean(self) -> np.ndarray:
        """bool [N]: images left as they were."""
        return np.asarray(np.logical_and.reduce([severity == 0 for severity in self.by_step.values()]))

    def rows(self, indices: np.ndarray) -> "Severities":
        """The severities of some of the images."""
        return Severities({step: severity[indices] for step, severity in self.by_step.items()})


LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as image libraries take it (ITU-R BT.601)


def subtract_class_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Features with the mean of each class moved to the origin.

    features: [N, F].  labels: [N]. Returns [N, F] float64.
    """
    centred = features.astype(np.float64)
    for label in np.unique(labels):
        own = labels == label
        centred[own] -= centred[own].mean(axis=0)
    return centred
