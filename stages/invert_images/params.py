"""The section `invert_images` of params.yaml."""

from pydantic import Field

from failure_atlas.core.fields import BatchSize, Count, Section, Seed


class InvertImagesParams(Section):
    """Which real images are inverted, and how long; params.yaml tells the units."""

    seed: Seed
    images: Count
    errors: int = Field(ge=0, le=1_000_000)
    draws: int = Field(ge=1, le=100)
    inside_share: float = Field(gt=0.5, lt=1)
    steps: int = Field(ge=1, le=10_000)
    style_steps: int = Field(ge=0, le=10_000)
    batch_size: BatchSize


MODEL = InvertImagesParams
