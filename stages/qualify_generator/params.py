"""The params of this stage."""

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Section, Seed


class QualifyGeneratorParams(Section):
    """Section `qualify_generator` of params.yaml."""

    seed: Seed
    samples: int = Field(ge=10, le=1_000_000)
    repeats: int = Field(ge=2, le=100)
    neighbours: int = Field(ge=1, le=100)
    frechet_ratio_ceiling: float | None = Field(gt=1)
    batch_size: BatchSize


MODEL = QualifyGeneratorParams
