"""The conditions in which real images are shown, and the averages over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.corruptions import corrupt
from failure_atlas.corruptions.registry import Step
from stages.common.image_params import CorruptImagesParams

CORRUPTED, RECIPE = "all corruptions", "recipe"


@dataclass(frozen=True)
class Condition:
    """keys: the steps of the recipe.  severities: 1 to 5 of each; 0 leaves a step out."""

    keys: tuple[str, ...]
    severities: tuple[int, ...]

    @property
    def name(self) -> str:
        """Such as `clean`, `blur 2`, `noise 1`, `blur 2 noise 1`."""
        given = zip(self.keys, self.severities, strict=True)
        return " ".join(f"{key} {severity}" for key, severity in given if severity) or "clean"


def list_conditions(keys: Sequence[str], severities: Sequence[int]) -> list[Condition]:
    """Clean, then each step alone, then all steps together as the recipe has them, each at every severity."""
    ordered, places = sorted(severities), range(len(keys))
    alone = [tuple(severity * (place == step) for place in places) for step in places for severity in ordered]
    together = product(ordered, repeat=len(keys))  # of one step: what stands alone, once more
    return [Condition(tuple(keys), each) for each in dict.fromkeys([(0,) * len(keys), *alone, *together])]


def weigh_conditions(conditions: Sequence[Condition], clean_fraction: float) -> dict[str, np.ndarray]:
    """Name -> weights [C] that make the accuracies in C conditions one number; each adds up to 1.

    Every condition by itself; `all corruptions`, all but clean with equal weight; `recipe`, the mix that the generator
    learned: a clean_fraction of clean images, and all steps together at equal chance.
    """
    clean = np.array([not any(condition.severities) for condition in conditions], float)
    all_steps = np.array([all(condition.severities) for condition in conditions], float)
    singles = dict(zip([condition.name for condition in conditions], np.eye(len(conditions)), strict=True))
    return singles | {
        CORRUPTED: (1 - clean) / (1 - clean).sum(),
        RECIPE: clean_fraction * clean + (1 - clean_fraction) * all_steps / all_steps.sum(),
    }


def show_conditions(
    images: np.ndarray, steps: Sequence[Step], corruption: CorruptImagesParams, seed: int
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """The images in each of C conditions, and the weights [C] of each average over them."""
    conditions = list_conditions([step.key for step in steps], corruption.severities)
    weights = weigh_conditions(conditions, corruption.clean_fraction)
    return [show_images(images, condition, steps, seed) for condition in conditions], weights


def show_images(images: np.ndarray, condition: Condition, steps: Sequence[Step], seed: int) -> np.ndarray:
    """The images in one condition, uint8 [N, C, H, W]; what is drawn depends on seed, condition, step and image."""
    return corrupt(
        images,
        np.repeat(np.array(condition.severities, np.uint8)[:, None], len(images), axis=1),
        steps,
        lambda key, index: torch_stream(seed, "validate_externally", condition.name, key, index),
    )
