"""The section `prepare_images` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from stages.common.params import Section, Seed


class PrepareImagesParams(Section):
    """Which data set, and how the one without a split of its own is split."""

    source: Literal["mnist-5k", "mnist", "fashion-mnist"]
    seed: Seed
    test_fraction: Annotated[float, Field(gt=0, le=0.5)]
    size_px: Literal[32]
    leave_out_mnist_5k: bool


MODEL = PrepareImagesParams
