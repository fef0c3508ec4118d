"""Images with labels: in memory, in Zarr, and as a network sees them.

The corrupted images store: the arrays of an images store, and the severities of each image.

What a classifier learns from: the clean images, the corrupted ones, or both.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from failure_atlas.core.arrays import NamedArray, read_array, read_attributes
from failure_atlas.images.image_set import ImageSet, Severities, Split

IMAGE_DIMENSIONS = ("sample", "channel", "y", "x")


def named_arrays(split: Split, part: ImageSet) -> dict[str, NamedArray]:
    """The arrays of one split under the names that `read_images` and, where they are known, `read_tracks` look for."""
    arrays = {f"{split}_images": (part.images, IMAGE_DIMENSIONS), f"{split}_labels": (part.labels, ("sample",))}
    return arrays if part.tracks is None else arrays | {f"{split}_tracks": (part.tracks, ("sample",))}


TRACKED_ATTRIBUTE = "train_tracked"


def named_tracking(train: ImageSet) -> dict[str, Any]:
    """The attribute that tells `read_tracks` of the training images' tracks; where there are none, none."""
    return {} if train.tracks is None else {TRACKED_ATTRIBUTE: True}


def read_images(path: Path, split: Split) -> ImageSet:
    """Read one split of an images store; StageError if it is missing."""
    return ImageSet(read_array(path, f"{split}_images"), read_array(path, f"{split}_labels"))


def read_tracks(path: Path) -> np.ndarray:
    """Which training images show one thing and so are nearly copies: int64 [N], the same number for these.

    A store that knows of none says that each image is one of its own.
    """
    if read_attributes(path).get(TRACKED_ATTRIBUTE):
        return read_array(path, "train_tracks")
    return np.arange(len(read_array(path, "train_labels")))


def read_class_names(path: Path) -> list[str]:
    """Names of the classes, in the order of the labels."""
    return [str(name) for name in read_attributes(path)["class_names"]]


PAPER_STEPS = ("blur", "noise")
STEPS_ATTRIBUTE = "corruption_steps"


def named_severities(split: Split, severities: Severities) -> dict[str, NamedArray]:
    """The arrays of one split under the names that `read_severities` looks for."""
    return {f"{split}_{step}_severity": (severity, ("sample",)) for step, severity in severities.by_step.items()}


def named_steps(steps: Sequence[str]) -> dict[str, Any]:
    """The attribute that tells `read_severities` the steps; the paper's go without saying, as in older stores."""
    return {} if tuple(steps) == PAPER_STEPS else {STEPS_ATTRIBUTE: list(steps)}


def read_severities(path: Path, split: Split) -> Severities:
    """Read the severities of one split; StageError if they are missing."""
    steps = [str(step) for step in read_attributes(path).get(STEPS_ATTRIBUTE, PAPER_STEPS)]
    return Severities({step: read_array(path, f"{split}_{step}_severity") for step in steps})


TrainOn = Literal["clean", "corrupted", "both"]


def read_training(
    clean_store: Path, corrupted_store: Path, train_on: TrainOn, kept: np.ndarray | slice = slice(None)
) -> ImageSet:
    """The clean or the corrupted training set; for "both" the clean one, and what is corrupted of the other.

    kept: bool [N], which of the images, clean and corrupted form alike; all by default.
    """
    clean, corrupted = (
        ImageSet(each.images[kept], each.labels[kept])
        for each in (read_images(clean_store, "train"), read_images(corrupted_store, "train"))
    )
    if train_on != "both":
        return clean if train_on == "clean" else corrupted
    added = ~read_severities(corrupted_store, "train").clean[kept]
    return ImageSet(
        np.concatenate([clean.images, corrupted.images[added]]), np.concatenate([clean.labels, corrupted.labels[added]])
    )
