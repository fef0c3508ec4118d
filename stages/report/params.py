"""The section `report` of params.yaml."""

from pydantic import Field, model_validator

from failure_atlas.core.fields import BatchSize, Section

MOST_FRAMES = 200  # pictures of one direction; each is kept in the page


class ReportParams(Section):
    """What the explorer shows of each class; params.yaml tells the units."""

    dimensions: int = Field(ge=1, le=20)
    max_shift_std: float = Field(gt=0, le=100)
    step_std: float = Field(gt=0, le=5)
    batch_size: BatchSize

    @model_validator(mode="after")
    def limit_frames(self) -> "ReportParams":
        """Every frame is a picture in the page."""
        if self.max_shift_std / self.step_std > MOST_FRAMES:
            raise ValueError(
                f"max_shift_std {self.max_shift_std:g} in steps of step_std {self.step_std:g} are more than "
                f"{MOST_FRAMES} pictures; raise step_std"
            )
        return self


MODEL = ReportParams
