"""The section `find_planted` of study/params.yaml."""

from itertools import pairwise

from pydantic import Field, ValidationInfo, field_validator

from failure_atlas.core.fields import Count, Section, Seed

PROFILE = "study"


class FindPlantedParams(Section):
    """What is planted, how often, and how many real images the baseline has; params.yaml tells the units."""

    seed: Seed
    runs: int = Field(ge=2, le=1000)
    curve_runs: int = Field(ge=1, le=1000)
    error_rate: float = Field(ge=0, lt=0.5)
    failure_rate: float = Field(gt=0, le=1)
    least_support: float = Field(gt=0, lt=0.5)
    most_support: float = Field(gt=0, lt=0.5)
    curve_rates: list[float] = Field(min_length=1, max_length=20)
    curve_supports: list[float] = Field(min_length=2, max_length=20)
    first_modes: int = Field(ge=1, le=50)
    overlap: float = Field(gt=0, le=1)
    real_images: Count

    @field_validator("most_support")
    @classmethod
    def _above_least(cls, value: float, info: ValidationInfo) -> float:
        if value <= info.data.get("least_support", 0):
            raise ValueError("more than least_support")
        return value

    @field_validator("curve_rates")
    @classmethod
    def _shares(cls, values: list[float]) -> list[float]:
        if not all(0 < value <= 1 for value in values):
            raise ValueError("each more than 0, at most 1")
        return values

    @field_validator("curve_supports")
    @classmethod
    def _rising(cls, values: list[float]) -> list[float]:
        if not all(low < high for low, high in pairwise([0.0, *values, 0.5])):
            raise ValueError("rising, each more than 0 and less than 0.5")
        return values


MODEL = FindPlantedParams
