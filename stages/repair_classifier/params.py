"""The section `repair_classifier` of study/params.yaml."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed
from failure_atlas.corruptions.registry import check_names
from stages.common.image_params import Severity

PROFILE = "study"
Share = Annotated[float, Field(gt=0, lt=1)]


class RepairClassifierParams(Section):
    """What is mixed, how often it is trained, on what it is measured; params.yaml tells the units."""

    seed: Seed
    trainings: int = Field(ge=2, le=100)
    choice_trainings: int = Field(ge=1, le=100)
    pool: Count
    copies: int = Field(ge=1, le=1000)
    least_probability: float = Field(ge=0, lt=1)
    added_shares: list[Share] = Field(min_length=1, max_length=10)
    failure_shares: list[Share] = Field(min_length=1, max_length=10)
    outside: list[str] = Field(min_length=1, max_length=30)
    outside_severities: list[Severity] = Field(min_length=1, max_length=5)
    plants: int = Field(ge=0, le=100)
    plant_share: float = Field(gt=0, lt=1)
    batch_size: BatchSize

    @field_validator("added_shares", "failure_shares")
    @classmethod
    def _distinct(cls, shares: list[float]) -> list[float]:
        if len(set(shares)) < len(shares):
            raise ValueError("each share once")
        return shares

    @field_validator("failure_shares")
    @classmethod
    def _part_of_what_is_added(cls, shares: list[float], info: ValidationInfo) -> list[float]:
        if max(shares) > min(info.data.get("added_shares", [1.0])):
            raise ValueError("each at most the smallest of added_shares, of which failures are a part")
        return shares

    @field_validator("outside")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        check_names(names)
        return names


MODEL = RepairClassifierParams
