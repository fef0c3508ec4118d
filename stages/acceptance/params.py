"""The section `acceptance` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from failure_atlas.core.fields import Section, Text
from failure_atlas.decisions import acceptance

METRIC_FORM = r"^[\w@-]+(/[\w@-]+)*: \S+(\.\S+)*$"


class Criterion(Section):
    """One metric held against a bar; params.yaml tells what each key means."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
    metric: Annotated[str, StringConstraints(pattern=METRIC_FORM, max_length=300)]
    comparison: Literal[">=", "<=", ">", "<"]
    bar: float
    reason: Text
    supports: Text
    min_samples: int = Field(default=1, ge=1, le=1_000_000_000)
    gate: Literal["generator"] | None = None
    needs_generator: bool = True

    def plain(self) -> acceptance.Criterion:
        """As the library takes it."""
        return acceptance.Criterion(**self.model_dump())


class AcceptanceParams(Section):
    """What a run is held against."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def check_ids_and_gate(self) -> Self:
        """Every id once, and a gate where one is needed."""
        acceptance.check_together([criterion.plain() for criterion in self.criteria])
        return self


MODEL = AcceptanceParams
