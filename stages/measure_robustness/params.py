"""The section `measure_robustness` of params.yaml."""

from typing import Self

from pydantic import Field, model_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed, check_steps


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
    batch_size: BatchSize
    finite_difference_dimensions: Count = 50
    finite_difference_step_std: float = Field(default=0.1, gt=0, le=2)

    @model_validator(mode="after")
    def refuse_what_cannot_be_searched(self) -> Self:
        """Greedy sets start from a part of the samples, and a walk ends in bounded time."""
        if self.greedy_samples > self.samples:
            raise ValueError(f"greedy_samples ({self.greedy_samples}) at most samples ({self.samples})")
        check_steps(self, ("max_shift_std", "step_std"), ("single_max_shift_std", "single_step_std"))
        return self


MODEL = MeasureRobustnessParams
