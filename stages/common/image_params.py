"""The sections `prepare_images` and `corrupt_images`, which bring_classifiers reads, too."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from failure_atlas.core.fields import Section, Seed, Text, WholeNumber
from failure_atlas.corruptions.registry import check_names, choose_steps

PUBLISHED = ("mnist-5k", "mnist", "fashion-mnist", "gtsrb")


class PrepareImagesParams(Section):
    """Which data set, what its images become, and how one without a split of its own is split."""

    source: Literal["mnist-5k", "mnist", "fashion-mnist", "gtsrb", "npz", "image-folder", "mnist-format"]
    seed: Seed
    test_fraction: Annotated[float, Field(gt=0, le=0.5)]
    size_px: Annotated[Literal[16, 32, 64, 128, 256, 512, 1024], WholeNumber]
    channels: Annotated[Literal[1, 3], WholeNumber]
    fit: Literal["pad", "resize", "stretch"]
    on_problem: Literal["stop", "drop"]
    class_names: Annotated[list[Text], Field(min_length=2, max_length=256)] | None
    classes: Annotated[list[Text], Field(min_length=2, max_length=256)] | None
    leave_out_mnist_5k: bool

    @model_validator(mode="after")
    def _check_keys_of_some_sources(self) -> Self:
        # Only MNIST holds the images of mnist-5k among others.
        if self.leave_out_mnist_5k and self.source != "mnist":
            raise ValueError(f"leave_out_mnist_5k is true, which goes with source mnist alone, not with {self.source}")
        if self.class_names is not None and self.source not in ("npz", "mnist-format"):
            named = "its folders name the classes" if self.source == "image-folder" else "its classes have names"
            raise ValueError(f"class_names: null with source {self.source}: {named}")
        if self.source == "gtsrb" and self.fit == "pad":
            raise ValueError("fit is pad, but the images of source gtsrb are of 15 to 250 px; set stretch or resize")
        return self

    @field_validator("classes")
    @classmethod
    def _each_once(cls, classes: list[str] | None) -> list[str] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("each class at most once")
        return classes


Severity = Annotated[int, Field(ge=1, le=5)]


class CorruptImagesParams(Section):
    """How much of the set is corrupted, by what, and how badly."""

    seed: Seed
    clean_fraction: Annotated[float, Field(ge=0, le=1)]
    recipe: Annotated[list[str], Field(min_length=1, max_length=20)]
    table: Literal["imagenet-c", "tiny-imagenet-c", "cifar-c", "mnist-c"]
    severities: Annotated[list[Severity], Field(min_length=1)]

    @field_validator("recipe")
    @classmethod
    def _known(cls, recipe: list[str]) -> list[str]:
        check_names(recipe)
        return recipe

    @field_validator("severities")
    @classmethod
    def _each_once(cls, severities: list[int]) -> list[int]:
        if len(set(severities)) < len(severities):
            raise ValueError("each severity at most once, for all are drawn with equal chance")
        return severities

    @model_validator(mode="after")
    def refuse_missing_tables(self) -> Self:
        """Every step needs severities."""
        choose_steps(self.recipe, self.table)
        return self
