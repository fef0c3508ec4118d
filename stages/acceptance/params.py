"""The section `acceptance` of params.yaml."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from failure_atlas.assurance.hazards import MOST_HAZARDS, Hazard, check_hazards
from failure_atlas.core.fields import Section
from failure_atlas.decisions.acceptance import Criterion, check_together


class AcceptanceParams(Section):
    """What a run is held against, and the hazards that its criteria bear on."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=1000)]
    hazards: Annotated[list[Hazard], Field(default_factory=list, max_length=MOST_HAZARDS)]

    @model_validator(mode="after")
    def check_ids_and_gate(self) -> Self:
        """Every id once, a gate where one is needed, and each hazard's criteria there."""
        check_together(self.criteria)
        check_hazards(self.hazards, [criterion.id for criterion in self.criteria])
        return self


MODEL = AcceptanceParams
