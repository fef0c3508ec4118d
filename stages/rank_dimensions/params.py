"""The section `rank_dimensions` of params.yaml."""

from typing import Literal

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Count, Section, Seed


class RankDimensionsParams(Section):
    """How the ranking is computed and shown; params.yaml tells the units."""

    seed: Seed
    batch_size: BatchSize
    split_halves: int = Field(ge=2, le=1000)
    top_k: int = Field(ge=1, le=10)
    histogram_bins: int = Field(ge=5, le=200)
    score: Literal["auto", "gradient", "finite_difference"] = "auto"
    finite_difference_samples: Count = 150
    finite_difference_step_std: float = Field(default=0.1, gt=0, le=2)


MODEL = RankDimensionsParams
