"""The params of this stage."""

from pydantic import Field, ValidationInfo, field_validator

from stages.common.params import Section, Seed, check_at_most


class ShiftSamplesParams(Section):
    """Section `shift_samples` of params.yaml."""

    seed: Seed
    samples: int = Field(ge=2)
    dimensions: int = Field(ge=1)
    max_shift_std: float = Field(gt=0)
    step_std: float = Field(gt=0)
    random_draws: int = Field(ge=2, le=1_000)
    batch_size: int = Field(ge=1)

    @field_validator("step_std")
    @classmethod
    def _fits(cls, value: float, info: ValidationInfo) -> float:
        return check_at_most(value, info, "max_shift_std")

    @field_validator("random_draws")
    @classmethod
    def _has_samples(cls, value: int, info: ValidationInfo) -> int:
        return check_at_most(value, info, "samples", ", for each draw needs one")


MODEL = ShiftSamplesParams
