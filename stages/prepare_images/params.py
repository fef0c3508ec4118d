"""The section `prepare_images` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.common.params import Section, Seed


class PrepareImagesParams(Section):
    """Which data set, and how the one without a split of its own is split."""

    source: Literal["mnist-5k", "mnist", "fashion-mnist"]
    seed: Seed
    test_fraction: Annotated[float, Field(gt=0, le=0.5)]
    size_px: Literal[32]
    leave_out_mnist_5k: bool

    @model_validator(mode="after")
    def refuse_leaving_out_elsewhere(self) -> Self:
        """Only MNIST holds the images of mnist-5k among others."""
        if self.leave_out_mnist_5k and self.source != "mnist":
            raise ValueError(f"leave_out_mnist_5k is true, which goes with source mnist alone, not with {self.source}")
        return self


MODEL = PrepareImagesParams
