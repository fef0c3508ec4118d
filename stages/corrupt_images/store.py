"""The corrupted images store: the arrays of an images store, and the severities of each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.common.arrays import NamedArray, read_array, read_attributes
from stages.prepare_images.store import Split

PAPER_STEPS = ("blur", "noise")
STEPS_ATTRIBUTE = "corruption_steps"


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
