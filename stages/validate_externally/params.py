"""The section `validate_externally` of a params file."""

from pydantic import Field, ValidationInfo, field_validator

from stages.common.params import Section, Seed, check_at_most


class ValidateExternallyParams(Section):
    """What is measured of each classifier, and how the agreement is bounded; study/params.yaml tells the units."""

    seed: Seed
    samples: int = Field(ge=2)
    shift_samples: int = Field(ge=2)
    shift_dimensions: int = Field(ge=1)
    max_shift_std: float = Field(gt=0)
    shift_step_std: float = Field(gt=0)
    distance_dimensions: int = Field(ge=1)
    bins: int = Field(ge=2, le=1_000)
    tail_quantile: float = Field(gt=0.5, le=1)
    real_images: int = Field(ge=2)
    replicates: int = Field(ge=100, le=100_000)
    bar: float = Field(gt=0, le=1)
    batch_size: int = Field(ge=1)

    @field_validator("shift_samples")
    @classmethod
    def _is_among_the_samples(cls, value: int, info: ValidationInfo) -> int:
        return check_at_most(value, info, "samples")

    @field_validator("shift_step_std")
    @classmethod
    def _fits(cls, value: float, info: ValidationInfo) -> float:
        return check_at_most(value, info, "max_shift_std")


MODEL = ValidateExternallyParams
PROFILE = "study"  # only study/ uses this stage: its section stands in study/params.yaml
