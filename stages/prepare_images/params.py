"""The section `prepare_images` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.common.params import Section, Seed, Text, WholeNumber

PUBLISHED = ("mnist-5k", "mnist", "fashion-mnist")


class PrepareImagesParams(Section):
    """Which data set, what its images become, and how one without a split of its own is split."""

    source: Literal["mnist-5k", "mnist", "fashion-mnist", "npz", "image-folder", "mnist-format"]
    seed: Seed
    test_fraction: Annotated[float, Field(gt=0, le=0.5)]
    size_px: Annotated[Literal[32, 64, 128], WholeNumber]
    channels: Annotated[Literal[1, 3], WholeNumber]
    fit: Literal["pad", "resize"]
    on_problem: Literal["stop", "drop"]
    class_names: Annotated[list[Text], Field(min_length=2, max_length=256)] | None
    leave_out_mnist_5k: bool

    @model_validator(mode="after")
    def _check_keys_of_some_sources(self) -> Self:
        # Only MNIST holds the images of mnist-5k among others.
        if self.leave_out_mnist_5k and self.source != "mnist":
            raise ValueError(f"leave_out_mnist_5k is true, which goes with source mnist alone, not with {self.source}")
        if self.class_names is not None and self.source not in ("npz", "mnist-format"):
            named = "its folders name the classes" if self.source == "image-folder" else "its classes have names"
            raise ValueError(f"class_names: null with source {self.source}: {named}")
        return self


MODEL = PrepareImagesParams
