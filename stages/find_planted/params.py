"""The section `find_planted` of study/params.yaml."""

from pydantic import Field

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


MODEL = FindPlantedParams
