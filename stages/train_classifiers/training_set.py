"""What a classifier learns from: the clean images, the corrupted ones, or both."""

from pathlib import Path
from typing import Literal

import numpy as np

from stages.corrupt_images.store import read_severities
from stages.prepare_images.store import ImageSet, read_images

TrainOn = Literal["clean", "corrupted", "both"]


def read_training(clean_store: Path, corrupted_store: Path, train_on: TrainOn) -> ImageSet:
    """The clean or the corrupted training set; for "both" the clean one, and what is corrupted of the other."""
    if train_on != "both":
        return read_images(clean_store if train_on == "clean" else corrupted_store, "train")
    clean, corrupted = read_images(clean_store, "train"), read_images(corrupted_store, "train")
    added = ~read_severities(corrupted_store, "train").clean
    return ImageSet(
        np.concatenate([clean.images, corrupted.images[added]]), np.concatenate([clean.labels, corrupted.labels[added]])
    )
