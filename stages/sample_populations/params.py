"""The params of this stage."""

from pydantic import Field

from stages.common.params import Section, Seed


class SamplePopulationsParams(Section):
    """Section `sample_populations` of params.yaml."""

    seed: Seed
    samples: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    tsne_samples: int = Field(ge=10)
    perplexity: float = Field(gt=1)
    probe_folds: int = Field(ge=2)


MODEL = SamplePopulationsParams
