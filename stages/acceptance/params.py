"""The section `acceptance` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from stages.common.params import Section, Text

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

    @property
    def folder(self) -> str:
        """Result folder that holds the metric, as `--results` names it."""
        return self.metric.partition(": ")[0]

    @property
    def key(self) -> str:
        """Key in the folder's metrics.json, names joined by dots."""
        return self.metric.partition(": ")[2]

    @property
    def depends_on_generator(self) -> bool:
        """Whether the generator must have passed; a gate says itself whether it has."""
        return self.gate is None and self.needs_generator


class AcceptanceParams(Section):
    """What a run is held against."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def check_ids_and_gate(self) -> Self:
        """Every id once, and a gate where one is needed."""
        ids = [criterion.id for criterion in self.criteria]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"criteria with ids of their own; used twice: {', '.join(twice)}")
        needing = [criterion.id for criterion in self.criteria if criterion.depends_on_generator]
        if needing and not any(criterion.gate for criterion in self.criteria):
            raise ValueError(
                f"criteria with needs_generator ({', '.join(needing)}) only beside one with `gate: generator`; "
                "add it, or set needs_generator: false"
            )
        return self


MODEL = AcceptanceParams
