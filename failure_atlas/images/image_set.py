"""Images with their labels and severities, in bytes and as networks see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from failure_atlas.core.errors import StageError

Split = Literal["train", "test"]


@dataclass(frozen=True)
class ImageSet:
    """images: uint8 [N, C, H, W].  labels: int64 [N].

    tracks: int64 [N], alike for images of one thing, which are nearly copies; None: nothing is known of that.
    """

    images: np.ndarray
    labels: np.ndarray
    tracks: np.ndarray | None = None


def check_pair(images: np.ndarray, labels: np.ndarray, images_name: str, labels_name: str) -> None:
    """StageError unless images are [N, H, W] or [N, H, W, 1 or 3], N above 0, and labels [N]; names: for messages."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise StageError(
            f"{images_name}: shape is {list(images.shape)}; allowed: [N, H, W] or [N, H, W, C] with C 1 or 3, the "
            "channels last (from [N, C, H, W]: numpy.moveaxis(images, 1, -1))"
        )
    if labels.ndim != 1 or len(labels) != len(images):
        raise StageError(f"{labels_name} has shape {list(labels.shape)}; needed: [{len(images)}], one per image")
    if not len(images):
        raise StageError(f"{images_name}: holds no images; add some")


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
