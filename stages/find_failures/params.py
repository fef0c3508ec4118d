"""The section `find_failures` of params.yaml."""

from typing import Annotated

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Section, Seed


class FindFailuresParams(Section):
    """Where walks start, what steers them, and what they are held against; params.yaml tells the units."""

    seed: Seed
    starts: int = Field(ge=1, le=100_000)
    start_samples: Annotated[list[Annotated[int, Field(ge=0, lt=1_000_000)]], Field(max_length=10_000)]
    real_starts: int = Field(ge=0, le=10_000)
    confidence: float = Field(gt=0.5, lt=1)
    judge_weight: float = Field(ge=0, le=1000)
    inside_share: float = Field(gt=0.5, lt=1)
    step_std: float = Field(gt=0, le=5)
    most_steps: int = Field(ge=1, le=10_000)
    restart_steps: int = Field(ge=1, le=10_000)
    class_samples: int = Field(ge=10, le=1_000_000)
    chains: int = Field(ge=0, le=100_000)
    baseline_starts: int = Field(ge=0, le=100_000)
    noise_draws: int = Field(ge=1, le=1000)
    batch_size: BatchSize


MODEL = FindFailuresParams
