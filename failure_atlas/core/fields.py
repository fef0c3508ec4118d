"""Types of keys and checks of values that the models of params share."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

MOST_STEPS = 10_000  # of one search along a line

NumberT = TypeVar("NumberT", int, float)
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what every generator of random numbers takes
BatchSize = Annotated[int, Field(ge=1, le=10_000)]  # images at once
Count = Annotated[int, Field(ge=1, le=1_000_000)]  # samples, images or dimensions: what disk and memory may hold
Text = Annotated[str, Field(min_length=1, max_length=1000)]
# Where DVC writes params anew it drops the quotes of "3" between braces.
ClassName = Annotated[Text, BeforeValidator(lambda held: str(held) if type(held) is int else held)]


class Section(BaseModel):
    """Base of every params section: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _refuse_other_types(value: Any) -> Any:
    if isinstance(value, (bool, float)):  # Python holds 1, 1.0 and True for equal, and so would a Literal
        raise ValueError("a whole number")
    return value


WholeNumber = BeforeValidator(_refuse_other_types)  # beside a Literal of integers


def check_at_most(value: NumberT, info: ValidationInfo, other: str, why: str = "") -> NumberT:
    """The value, for a validator of a key that may not exceed another one above it; why: said behind its name."""
    if value > info.data.get(other, value):  # a fault of the other key is told of that key
        raise ValueError(f"at most {other}{why}")
    return value


def check_steps(section: Section, *pairs: tuple[str, str]) -> None:
    """Raise ValueError where a search would take more than MOST_STEPS; pairs: keys of how far, and in which steps."""
    for far, step in pairs:
        if getattr(section, far) / getattr(section, step) > MOST_STEPS:
            raise ValueError(
                f"at most {MOST_STEPS:,} steps, not {far} {getattr(section, far):g} in steps of {step} "
                f"{getattr(section, step):g}; raise {step}"
            )
