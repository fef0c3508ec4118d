"""The section `corrupt_images` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from stages.common.params import Section, Seed
from stages.corrupt_images.registry import check_names, choose_steps

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


MODEL = CorruptImagesParams
