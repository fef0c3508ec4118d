"""One entry of the section `train_classifiers` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from stages.common.params import Section, Seed
from stages.common.precision import Precision
from stages.train_classifiers.training_set import TrainOn


class AugmentationParams(Section):
    """Limits of the random affine changes of shape; all 0: none."""

    rotation_degrees: Annotated[float, Field(ge=0, le=45)]
    scale: Annotated[float, Field(ge=0, le=1)]
    shear: Annotated[float, Field(ge=0, le=1)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    interpolation: Literal["bilinear", "nearest"]


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
