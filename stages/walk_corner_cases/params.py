"""The section `walk_corner_cases` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from failure_atlas.core.fields import BatchSize, Section, check_steps


class WalkCornerCasesParams(Section):
    """Where walks start, along which dimensions, how far, and what counts as a failure; params.yaml tells the units."""

    scope: Literal["class", "global"]
    dimensions: int = Field(ge=1, le=100)
    max_shift_std: float = Field(gt=0, le=100)
    grid_step_std: float = Field(gt=0, le=5)
    min_effect: float = Field(ge=0, lt=0.5)
    only_true_failures: bool
    start_samples: Annotated[list[Annotated[int, Field(ge=0, lt=1_000_000)]], Field(max_length=10_000)]
    real_starts: int = Field(ge=0, le=10_000)
    figure_classes: Annotated[list[Annotated[int, Field(ge=0, lt=256)]], Field(max_length=256)]
    batch_size: BatchSize

    @field_validator("start_samples", "figure_classes")
    @classmethod
    def refuse_repeats(cls, indices: list[int]) -> list[int]:
        """The same start twice would count twice."""
        if len(set(indices)) < len(indices):
            raise ValueError("each index once")
        return indices

    @model_validator(mode="after")
    def _ends(self) -> Self:
        check_steps(self, ("max_shift_std", "grid_step_std"))
        return self


MODEL = WalkCornerCasesParams
