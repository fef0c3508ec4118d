"""The section `validate_externally` of a params file."""

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed, check_at_most, check_steps


class ValidateExternallyParams(Section):
    """What is measured of each classifier, and how the agreement is bounded; study/params.yaml tells the units."""

    seed: Seed
    samples: int = Field(ge=2, le=1_000_000)
    shift_samples: int = Field(ge=2, le=1_000_000)
    shift_dimensions: Count
    max_shift_std: float = Field(gt=0, le=100)
    shift_step_std: float = Field(gt=0)
    distance_dimensions: Count
    bins: int = Field(ge=2, le=1_000)
    tail_quantile: float = Field(gt=0.5, le=1)
    real_images: int = Field(ge=2, le=1_000_000)
    replicates: int = Field(ge=100, le=100_000)
    bar: float = Field(gt=0, le=1)
    strong: float = Field(ge=0, lt=1)
    batch_size: BatchSize

    @field_validator("shift_samples")
    @classmethod
    def _is_among_the_samples(cls, value: int, info: ValidationInfo) -> int:
        return check_at_most(value, info, "samples")

    @field_validator("shift_step_std")
    @classmethod
    def _fits(cls, value: float, info: ValidationInfo) -> float:
        return check_at_most(value, info, "max_shift_std")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_steps(self, ("max_shift_std", "shift_step_std"))
        return self


MODEL = ValidateExternallyParams
PROFILE = "study"  # only study/ uses this stage: its section stands in study/params.yaml
