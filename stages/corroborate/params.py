"""The section `corroborate` of params.yaml."""

from pydantic import Field, model_validator

from failure_atlas.core.fields import BatchSize, Section, Seed, check_steps


class CorroborateParams(Section):
    """Which claims of the ranking and of the curves are tried on real images; params.yaml tells the units."""

    seed: Seed
    dimensions: int = Field(ge=1, le=1000)
    distance_dimensions: int = Field(ge=1, le=1_000_000)
    bins: int = Field(ge=2, le=100)
    tail_quantile: float = Field(gt=0.5, le=1)
    max_shift_std: float = Field(gt=0, le=100)
    shift_step_std: float = Field(gt=0, le=100)
    significance: float = Field(gt=0, lt=0.5)
    replicates: int = Field(ge=100, le=100_000)
    batch_size: BatchSize

    @model_validator(mode="after")
    def _bounded(self) -> "CorroborateParams":
        check_steps(self, ("max_shift_std", "shift_step_std"))
        return self


MODEL = CorroborateParams
