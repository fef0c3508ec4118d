"""One entry of the section `train_classifiers` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from failure_atlas.classifiers.training import Recipe
from failure_atlas.core.fields import Seed
from stages.common.artefacts.images import TrainOn


class TrainClassifierParams(Recipe):
    """What one classifier is, and how it is trained."""

    train_on: TrainOn
    network: Literal["plain", "residual"]
    width: Annotated[int, Field(ge=8, le=512, multiple_of=8)]
    seed: Seed


MODEL = TrainClassifierParams
ENTRIES = True  # the section holds one such mapping per classifier
