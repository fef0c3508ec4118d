"""The section `compare_rankings` of params.yaml."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from failure_atlas.core.fields import BatchSize, Count, Section, Seed


class CompareRankingsParams(Section):
    """What each ranking sees, how it is measured, and when a dimension is influential; params.yaml tells the units."""

    seed: Seed
    samples: Count
    attfind_samples: Count
    held_out_samples: int = Field(ge=2, le=1_000_000)
    random_draws: int = Field(ge=2, le=1000)
    attfind_margin: float = Field(ge=0, lt=0.5)
    top_k: list[Count] = Field(min_length=1, max_length=100)
    shifts_std: list[Annotated[float, Field(gt=0, le=100)]] = Field(min_length=1, max_length=100)
    headline_k: Count
    headline_shift_std: float = Field(gt=0, le=100)
    walk_dimensions: int = Field(ge=1, le=100)
    max_shift_std: int = Field(ge=1, le=100)
    split_halves: int = Field(ge=2, le=1000)
    bootstrap_replicates: int = Field(ge=40, le=10_000)
    fdr: float = Field(gt=0, lt=1)
    batch_size: BatchSize
    finite_difference_samples: Count = 60
    finite_difference_step_std: float = Field(default=0.1, gt=0, le=2)

    @model_validator(mode="after")
    def check_cells(self) -> Self:
        """Every cell once, and the headline cell among them."""
        for key, values, headline in (
            ("top_k", self.top_k, self.headline_k),
            ("shifts_std", self.shifts_std, self.headline_shift_std),
        ):
            if sorted(set(values)) != values:
                raise ValueError(f"{key} {values} rising, each value once")
            if headline not in values:
                name = {"top_k": "headline_k", "shifts_std": "headline_shift_std"}[key]
                raise ValueError(f"{name} {headline} must be one of {key} {values}")
        return self


MODEL = CompareRankingsParams
