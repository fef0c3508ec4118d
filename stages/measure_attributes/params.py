"""The section `measure_attributes` of params.yaml."""

from pydantic import Field

from failure_atlas.core.fields import Section, Seed
from failure_atlas.directions.naming_check import GROUP_IMAGES


class MeasureAttributesParams(Section):
    """From how many real images measurements get their meaning, and are checked; params.yaml tells the units."""

    seed: Seed
    check_images: int = Field(ge=GROUP_IMAGES, le=10_000)
    fdr: float = Field(gt=0, lt=1)


MODEL = MeasureAttributesParams
