"""Images with labels: in memory, in Zarr, and as a network sees them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from stages.common.arrays import NamedArray, read_array, read_attributes

Split = Literal["train", "test"]
IMAGE_DIMENSIONS = ("sample", "channel", "y", "x")


@dataclass(frozen=True)
class ImageSet:
    """images: uint8 [N, C, H, W].  labels: int64 [N]."""

    images: np.ndarray
    labels: np.ndarray


def named_arrays(split: Split, part: ImageSet) -> dict[str, NamedArray]:
    """The arrays of one split under the names that `read_images` looks for."""
    return {
        f"{split}_images": (part.images, IMAGE_DIMENSIONS),
        f"{split}_labels": (part.labels, ("sample",)),
    }


def read_images(path: Path, split: Split) -> ImageSet:
    """Read one split of an images store; StageError if it is missing."""
    return ImageSet(read_array(path, f"{split}_images"), read_array(path, f"{split}_labels"))


def read_class_names(path: Path) -> list[str]:
    """Names of the classes, in the order of the labels."""
    return [str(name) for name in read_attributes(path)["class_names"]]


def to_unit(images: np.ndarray) -> torch.Tensor:
    """uint8 images as float32 in [0, 1], of the same shape: x / 255."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32) / 255
