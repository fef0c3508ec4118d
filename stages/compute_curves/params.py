"""The params of this stage."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed


class ComputeCurvesParams(Section):
    """Section `compute_curves` of params.yaml."""

    seed: Seed
    top_k: list[Count | Literal["all"]] = Field(min_length=1, max_length=100)
    headline_k: Count
    bins: int = Field(ge=2, le=1_000)
    tail_quantile: float = Field(gt=0.5, le=1)
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


MODEL = ComputeCurvesParams
