"""The section `measure_robustness` of params.yaml."""

from typing import Self

from pydantic import Field, model_validator

from stages.common.params import Section, Seed


class MeasureRobustnessParams(Section):
    """Where walks start, how they step and how far they may go; params.yaml tells the units."""

    seed: Seed
    samples: int = Field(ge=1, le=100_000)
    greedy_samples: int = Field(ge=0, le=100_000)
    step_std: float = Field(gt=0, le=5)
    max_shift_std: float = Field(gt=0, le=100)
    single_max_shift_std: float = Field(gt=0, le=100)
    single_step_std: float = Field(gt=0, le=5)
    budget_std: float = Field(gt=0, le=100)
    most_dimensions: int = Field(ge=1, le=1000)
    batch_size: int = Field(ge=1, le=10_000)
    finite_difference_dimensions: int = Field(default=50, ge=1)
    finite_difference_step_std: float = Field(default=0.1, gt=0, le=2)

    @model_validator(mode="after")
    def refuse_more_sets_than_samples(self) -> Self:
        """Greedy sets start from a part of the samples."""
        if self.greedy_samples > self.samples:
            raise ValueError(f"greedy_samples ({self.greedy_samples}) at most samples ({self.samples})")
        return self


MODEL = MeasureRobustnessParams
