"""The corrupted images store: the arrays of an images store, and the severity of each image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.common.arrays import NamedArray, read_array
from stages.prepare_images.store import Split


@dataclass(frozen=True)
class Severities:
    """blur, noise: uint8 [N], 1 to 5, or 0 for both where the image is clean."""

    blur: np.ndarray
    noise: np.ndarray

    @property
    def clean(self) -> np.ndarray:
        """bool [N]: images left as they were."""
        clean: np.ndarray = (self.blur == 0) & (self.noise == 0)
        return clean

    def rows(self, indices: np.ndarray) -> "Severities":
        """The severities of some of the images."""
        return Severities(self.blur[indices], self.noise[indices])


def named_severities(split: Split, severities: Severities) -> dict[str, NamedArray]:
    """The arrays of one split under the names that `read_severities` looks for."""
    return {
        f"{split}_blur_severity": (severities.blur, ("sample",)),
        f"{split}_noise_severity": (severities.noise, ("sample",)),
    }


def read_severities(path: Path, split: Split) -> Severities:
    """Read the severities of one split; StageError if they are missing."""
    return Severities(read_array(path, f"{split}_blur_severity"), read_array(path, f"{split}_noise_severity"))
