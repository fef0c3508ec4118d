"""The section `name_directions` of params.yaml."""

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Section, Seed


class NameDirectionsParams(Section):
    """Which dimensions are named, from how many samples and how surely; params.yaml tells the units."""

    seed: Seed
    dimensions: int = Field(ge=1, le=100)
    class_dimensions: int = Field(ge=0, le=100)
    samples: int = Field(ge=2, le=10_000)
    step_std: float = Field(gt=0, le=5)
    fdr: float = Field(gt=0, lt=1)
    batch_size: BatchSize


MODEL = NameDirectionsParams
