"""The section `corrupt_images` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.common.params import Section, Seed

Severity = Annotated[int, Field(ge=1, le=5)]


class CorruptImagesParams(Section):
    """How much of the set is corrupted, and how badly."""

    seed: Seed
    clean_fraction: Annotated[float, Field(ge=0, le=1)]
    table: Literal["imagenet-c", "tiny-imagenet-c", "cifar-c"]
    severities: Annotated[list[Severity], Field(min_length=1)]

    @field_validator("severities")
    @classmethod
    def _each_once(cls, severities: list[int]) -> list[int]:
        if len(set(severities)) < len(severities):
            raise ValueError("each severity at most once, for all are drawn with equal chance")
        return severities


MODEL = CorruptImagesParams
