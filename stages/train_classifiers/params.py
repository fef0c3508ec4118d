"""One entry of the section `train_classifiers` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from failure_atlas.classifiers.training import AugmentationParams
from failure_atlas.core.device import Precision
from failure_atlas.core.fields import Section, Seed
from stages.common.artefacts.images import TrainOn


class TrainClassifierParams(Section):
    """What one classifier is, and how it is trained."""

    train_on: TrainOn
    network: Literal["plain", "residual"]
    width: Annotated[int, Field(ge=8, le=512, multiple_of=8)]
    training_images: Annotated[int, Field(ge=1, le=1_000_000_000)]
    batch_size: Annotated[int, Field(ge=2, le=4096)]
    precision: Precision
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    augmentation: AugmentationParams
    seed: Seed


MODEL = TrainClassifierParams
ENTRIES = True  # the section holds one such mapping per classifier
