"""Typed, bounded sections of params.yaml."""

import math
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from stages.common.errors import StageError

HELD_LENGTH = 100  # of a value in a message, in characters

SectionT = TypeVar("SectionT", bound="Section")
NumberT = TypeVar("NumberT", int, float)
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what every generator of random numbers takes


class Section(BaseModel):
    """Base of every params section: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def check_at_most(value: NumberT, info: ValidationInfo, other: str, why: str = "") -> NumberT:
    """The value, for a validator of a key that may not exceed another one above it; why: said behind its name."""
    if value > info.data.get(other, value):  # a fault of the other key is told of that key
        raise ValueError(f"at most {other}{why}")
    return value


def load_section(path: Path, model: type[SectionT], *keys: str) -> SectionT:
    """Read one section of a params file and check it.

    keys: where the section stands, e.g. `"rank_dimensions"` or `"train_classifiers", "clean"`.
    Raises StageError that names the key, what it held and what is allowed.
    """
    document = read_params(path)
    node: Any = document
    for depth, key in enumerate(keys):
        if not isinstance(node, dict) or key not in node:
            known = ", ".join(map(str, node)) if isinstance(node, dict) else "none"
            name = ".".join(keys[: depth + 1])
            raise StageError(f"{path}: section '{name}' is missing; sections here: {known}")
        node = node[key]
    return check_section(node, model, ".".join(keys), path)


def read_params(path: Path) -> dict[str, Any]:
    """Parse a params file into a mapping; StageError if it is missing or is no YAML mapping."""
    if not path.is_file():
        raise StageError(f"{path}: no such params file; run from the project's root or pass --params")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise StageError(f"{path}: holds {type(document).__name__}; a mapping with one section per stage is needed")
    return document


def check_section(node: Any, model: type[SectionT], name: str, path: Path) -> SectionT:
    """Validate one parsed section; StageError with one line for the first fault found."""
    try:
        return model.model_validate(node)
    except ValidationError as error:
        raise StageError(f"{path}: {describe(error, model, name, node)}") from error


def describe(error: ValidationError, model: type[BaseModel], name: str, node: Any) -> str:
    """One line for the first fault: key, what it held, what is allowed; node: the section as parsed.

    Unknown keys come first: a misspelt key is also a missing one, and its own name is what has to be found.
    """
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    locations = [_locate(fault, node) for fault in faults]
    fault, location = faults[0], locations[0]
    key = ".".join([name, *map(str, location)])
    others = len(set(locations)) - 1
    more = f" (and {others} more)" if others else ""
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_fields_at(model, location[:-1]))}{more}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it{more}"
    # A key that may take several forms has one fault for each of them, at the same place.
    forms = [_allowed(other) for other, place in zip(faults, locations, strict=True) if place == location]
    allowed = f"allowed: {' or '.join(dict.fromkeys(forms))}{more}"
    if fault["type"] == "value_error" and isinstance(fault["input"], dict):
        return f"{key}: {allowed}"  # a rule over several keys says itself what they hold
    held = repr(fault["input"])
    return f"{key}: got {held if len(held) <= HELD_LENGTH else held[:HELD_LENGTH] + '...'}; {allowed}"


def _locate(fault: ErrorDetails, node: Any) -> tuple[int | str, ...]:
    """Keys and indices from the section to the fault, without the names that pydantic gives to alternative types."""
    place: list[int | str] = []
    for depth, part in enumerate(fault["loc"], start=1):
        absent = fault["type"] == "missing" and depth == len(fault["loc"])
        if absent or (isinstance(node, dict) and part in node) or (isinstance(node, list) and isinstance(part, int)):
            place.append(part)
            node = None if absent else node[part]
    return tuple(place)


def _allowed(fault: ErrorDetails) -> str:
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ").split(" or instance of ")[0]
    if fault["type"] in ("float_type", "int_type") and isinstance(fault["input"], str):
        try:
            number = float(fault["input"])
        except ValueError:
            return message
        if math.isfinite(number):  # YAML wants a point and a signed exponent: 3e-3 is text to it
            plain = yaml.safe_dump(int(number) if fault["type"] == "int_type" else number).split()[0]
            return f"{message} (YAML takes this for text; write {plain})"
    return message


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed at a place inside a section."""
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and current is not None:
            field = current.model_fields.get(part)
            current = _section_in(field.annotation) if field is not None else None
    return list(current.model_fields) if current is not None else ["see the comments in params.yaml"]


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is or holds, as in `Inner | None` and `list[Inner]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
