"""The conditions in which real images are shown, and the averages over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.common.seeds import torch_stream
from stages.corrupt_images.corruptions import Table, corrupt

CORRUPTED, RECIPE = "all corruptions", "recipe"


@dataclass(frozen=True)
class Condition:
    """Severities 1 to 5 of the blur and of the noise that follows it; 0 leaves a step out."""

    blur: int
    noise: int

    @property
    def name(self) -> str:
        """Such as `clean`, `blur 2`, `noise 1`, `blur 2 noise 1`."""
        steps = [f"{step} {severity}" for step, severity in (("blur", self.blur), ("noise", self.noise)) if severity]
        return " ".join(steps) or "clean"


def list_conditions(severities: Sequence[int]) -> list[Condition]:
    """Clean, then blur alone, noise alone, and blur with noise as the recipe has it, each at every severity."""
    ordered = sorted(severities)
    return [
        Condition(0, 0),
        *(Condition(blur, 0) for blur in ordered),
        *(Condition(0, noise) for noise in ordered),
        *(Condition(blur, noise) for blur in ordered for noise in ordered),
    ]


def weigh_conditions(conditions: Sequence[Condition], clean_fraction: float) -> dict[str, np.ndarray]:
    """Name -> weights [C] that make the accuracies in C conditions one number; each adds up to 1.

    Every condition by itself; `all corruptions`, all but clean with equal weight; `recipe`, the mix that the generator
    learned: a clean_fraction of clean images, and blur with noise at equal chance.
    """
    clean = np.array([condition == Condition(0, 0) for condition in conditions], float)
    both = np.array([condition.blur > 0 and condition.noise > 0 for condition in conditions], float)
    singles = dict(zip([condition.name for condition in conditions], np.eye(len(conditions)), strict=True))
    return singles | {
        CORRUPTED: (1 - clean) / (1 - clean).sum(),
        RECIPE: clean_fraction * clean + (1 - clean_fraction) * both / both.sum(),
    }


def show_images(images: np.ndarray, condition: Condition, table: Table, seed: int) -> np.ndarray:
    """The images in one condition, uint8 [N, C, H, W]; the noise depends on the seed, the condition and the image."""
    blur, noise = (np.full(len(images), severity) for severity in (condition.blur, condition.noise))
    return corrupt(
        images,
        blur,
        noise,
        table,
        lambda index: torch_stream(seed, "validate_externally", condition.name, "noise", index),
    )
