"""Entries of the sections `train_classifiers` and `bring_classifiers`: each says what differs from the defaults."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.training import AugmentationParams, Recipe
from failure_atlas.core.device import Precision
from failure_atlas.core.fields import Section, Seed
from stages.common.artefacts.images import TrainOn
from stages.common.params import check_section


class TrainClassifierParams(Recipe):
    """What one classifier is, and how it is trained; an entry has to say no more than what it learns from."""

    train_on: TrainOn
    network: Literal["plain", "residual"] = "plain"
    width: Annotated[int, Field(ge=8, le=512, multiple_of=8)] = 32
    training_images: Annotated[int, Field(ge=1, le=1_000_000_000)] = 80_000
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 64
    precision: Precision = "auto"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.008
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.02
    augmentation: AugmentationParams = AugmentationParams(
        rotation_degrees=15.0, scale=0.15, shear=0.15, shift=0.08, interpolation="nearest"
    )
    seed: Seed = 1


# In each of these sections stands one mapping per classifier, in the form of its model.
ENTRIES: dict[str, type[Section]] = {
    "train_classifiers": TrainClassifierParams,
    "bring_classifiers": BringClassifierParams,
}


def complete_entries(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a params file says, with what holds in each entry of a classifier where a key is left out.

    Raises StageError for an entry that is none.
    """
    return document | {
        room: {name: check_section(entry, model, f"{room}.{name}", path).model_dump() for name, entry in held.items()}
        for room, model in ENTRIES.items()
        if isinstance(held := document.get(room), dict)
    }
