"""The section `judge_failures` of params.yaml."""

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Section, Seed


class JudgeFailuresParams(Section):
    """When a verdict is given, what counts as far out, what people are shown; params.yaml tells the units."""

    seed: Seed
    far_out_percentile: float = Field(gt=50, lt=100)
    contact_sheet_samples: int = Field(ge=1, le=100)
    noise_draws: int = Field(ge=1, le=1000)
    batch_size: BatchSize


MODEL = JudgeFailuresParams
