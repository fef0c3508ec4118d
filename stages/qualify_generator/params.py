"""The params of this stage."""

from pydantic import Field

from stages.common.params import Section, Seed
from stages.common.pinned_file import PinnedFile


class QualifyGeneratorParams(Section):
    """Section `qualify_generator` of params.yaml."""

    seed: Seed
    samples: int = Field(ge=10)
    repeats: int = Field(ge=2, le=100)
    neighbours: int = Field(ge=1, le=100)
    frechet_ratio_ceiling: float | None = Field(gt=1)
    batch_size: int = Field(ge=1)
    inception_weights: PinnedFile | None
    inception_samples: int = Field(ge=10)


MODEL = QualifyGeneratorParams
