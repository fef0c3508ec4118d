"""The params of this stage."""

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed, check_at_most, check_steps


class ComputeCurvesParams(Section):
    """Section `compute_curves` of params.yaml."""

    seed: Seed
    top_k: list[Count | Literal["all"]] = Field(min_length=1, max_length=100)
    headline_k: Count
    bins: int = Field(ge=2, le=1_000)
    tail_quantile: float = Field(gt=0.5, le=1)
    shift_samples: int = Field(ge=2, le=1_000_000)
    shift_dimensions: Count
    max_shift_std: float = Field(gt=0, le=100)
    shift_step_std: float = Field(gt=0)
    random_draws: int = Field(ge=2, le=1_000)
    bootstrap_replicates: int = Field(ge=100, le=100_000)
    batch_size: BatchSize

    @field_validator("headline_k")
    @classmethod
    def _is_computed(cls, value: int, info: ValidationInfo) -> int:
        computed = info.data.get("top_k", [value])
        if value not in computed:
            raise ValueError(f"a number among top_k: {', '.join(map(str, computed))}")
        return value

    @field_validator("shift_step_std")
    @classmethod
    def _fits(cls, value: float, info: ValidationInfo) -> float:
        return check_at_most(value, info, "max_shift_std")

    @field_validator("random_draws")
    @classmethod
    def _has_samples(cls, value: int, info: ValidationInfo) -> int:
        return check_at_most(value, info, "shift_samples", ", for each draw needs one")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_steps(self, ("max_shift_std", "shift_step_std"))
        return self


MODEL = ComputeCurvesParams
