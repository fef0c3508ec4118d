"""The params of this stage."""

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed, check_at_most, check_steps


class ShiftSamplesParams(Section):
    """Section `shift_samples` of params.yaml."""

    seed: Seed
    samples: int = Field(ge=2, le=1_000_000)
    dimensions: Count
    max_shift_std: float = Field(gt=0, le=100)
    step_std: float = Field(gt=0)
    random_draws: int = Field(ge=2, le=1_000)
    batch_size: BatchSize

    @field_validator("step_std")
    @classmethod
    def _fits(cls, value: float, info: ValidationInfo) -> float:
        return check_at_most(value, info, "max_shift_std")

    @field_validator("random_draws")
    @classmethod
    def _has_samples(cls, value: int, info: ValidationInfo) -> int:
        return check_at_most(value, info, "samples", ", for each draw needs one")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_steps(self, ("max_shift_std", "step_std"))
        return self


MODEL = ShiftSamplesParams
