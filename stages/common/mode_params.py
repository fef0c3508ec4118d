"""The section `find_modes` of params.yaml, which find_planted reads, too."""

from pydantic import Field, ValidationInfo, field_validator, model_validator

from failure_atlas.core.fields import BatchSize, ClassName, Section, Seed, Text


class Exposure(Section):
    """How often a condition holds in use: an attribute above, or below, a value."""

    attribute: Text
    above: float | None = None
    below: float | None = None
    share: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _one_side(self) -> "Exposure":
        if (self.above is None) == (self.below is None):
            raise ValueError("above or below, one of them")
        return self


class Cost(Section):
    """What a confusion costs, where others cost 1; null: any class. Of two that fit, the later one counts."""

    true_class: ClassName | None
    read_as: ClassName | None
    cost: float = Field(ge=0, le=1e9)


class OperatingDomain(Section):
    """Where the classifier is used, if not in the generator's own population."""

    exposure: list[Exposure] = Field(max_length=20)
    costs: list[Cost] = Field(max_length=1000)


class FindModesParams(Section):
    """How many modes, how large, how surely, and for which use; params.yaml tells the units."""

    seed: Seed
    most_modes: int = Field(ge=1, le=50)
    least_share: float = Field(gt=0, le=0.5)
    most_share: float = Field(gt=0, le=1)
    inner_modes: int = Field(ge=0, le=10)
    fdr: float = Field(gt=0, lt=0.5)
    attributes: list[Text] | None = Field(max_length=100)
    pictures: int = Field(ge=1, le=20)
    map_bins: int = Field(ge=2, le=20)
    batch_size: BatchSize
    operating_domain: OperatingDomain

    @field_validator("most_share")
    @classmethod
    def _above_least(cls, value: float, info: ValidationInfo) -> float:
        if value <= info.data.get("least_share", 0):
            raise ValueError("more than least_share")
        return value
