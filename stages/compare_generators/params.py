"""The section `compare_generators` of a params file."""

from typing import Annotated

from pydantic import Field, field_validator

from failure_atlas.core.fields import Section, Seed


class CompareGeneratorsParams(Section):
    """How many dimensions count as influential, and how chance is drawn; study/params.yaml tells the units."""

    seed: Seed
    top: list[Annotated[int, Field(ge=2, le=1_000_000)]] = Field(min_length=1, max_length=100)
    replicates: int = Field(ge=100, le=100_000)

    @field_validator("top")
    @classmethod
    def _each_once(cls, top: list[int]) -> list[int]:
        if len(set(top)) < len(top):
            raise ValueError("each number of dimensions at most once")
        return top


MODEL = CompareGeneratorsParams
PROFILE = "study"  # only study/ uses this stage: its section stands in study/params.yaml
