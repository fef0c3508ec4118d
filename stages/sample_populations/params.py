"""The params of this stage."""

from typing import Literal

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Count, Section, Seed


class SamplePopulationsParams(Section):
    """Section `sample_populations` of params.yaml."""

    seed: Seed
    samples: Count
    noise: Literal["sample", "constant"]
    mean_noise_draws: int = Field(ge=1, le=100)
    batch_size: BatchSize
    tsne_samples: int = Field(ge=10, le=100_000)
    perplexity: float = Field(gt=1, le=1000)
    probe_folds: int = Field(ge=2, le=100)


MODEL = SamplePopulationsParams
