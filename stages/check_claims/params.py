"""The section `check_claims` of params.yaml."""

from pydantic import Field, ValidationInfo, field_validator

from failure_atlas.core.fields import Section, Text


class CheckClaimsParams(Section):
    """Which classifiers the claims speak of, and the bars that numbers are held against."""

    trained_on_clean: Text
    trained_on_corrupted: Text
    corrupted_accuracy: float = Field(gt=0, lt=1)
    reached_share: float = Field(gt=0, lt=1)
    ranking_overlap: float = Field(gt=0, lt=1)
    negligible_ks: float = Field(gt=0, lt=1)
    significance: float = Field(gt=0, lt=0.5)

    @field_validator("trained_on_corrupted")
    @classmethod
    def _differs(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("trained_on_clean"):
            raise ValueError("another classifier than trained_on_clean")
        return value


MODEL = CheckClaimsParams
