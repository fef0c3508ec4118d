"""The section `acceptance` of params.yaml."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from failure_atlas.core.fields import Section
from failure_atlas.decisions.acceptance import Criterion, check_together


class AcceptanceParams(Section):
    """What a run is held against."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def check_ids_and_gate(self) -> Self:
        """Every id once, and a gate where one is needed."""
        check_together(self.criteria)
        return self


MODEL = AcceptanceParams
