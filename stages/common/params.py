"""Typed, bounded sections of params.yaml."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from failure_atlas.core.errors import StageError
from failure_atlas.core.fields import Section
from failure_atlas.core.files import is_file
from failure_atlas.core.text import check_size

HELD_LENGTH = 100  # of a value in a message, in characters
MOST_CHARACTERS = 1_000_000  # of a params file; the project's own has 30,000
MOST_VALUES = 100_000  # in it, with each alias counted as all that it stands for
DEEPEST = 32  # lists and mappings inside one another; from some thousands on the parser crashes

SectionT = TypeVar("SectionT", bound="Section")


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


SAMPLES, DIMENSIONS = "samples of the population", "style dimensions of the generator"


def limit_keys(path: Path, name: str, section: BaseModel, limits: Mapping[str, tuple[int, str]]) -> None:
    """Raise StageError if a number, or one of a list, is above what there is; limits: key -> the most, and of what."""
    for key, (most, what) in limits.items():
        held = getattr(section, key)
        for number in held if isinstance(held, list) else [held]:
            if isinstance(number, int) and number > most:
                raise StageError(f"{path}: {name}.{key}: got {number}; allowed: at most the {most} {what}")


def read_params(path: Path) -> dict[str, Any]:
    """Parse a params file into a mapping; StageError if it is missing or is no YAML mapping."""
    if not is_file(path):
        shown = path if len(str(path)) <= HELD_LENGTH else f"{str(path)[:HELD_LENGTH]}..."
        raise StageError(f"{shown}: no such params file; run from the project's root or pass --params")
    try:
        if path.stat().st_size > 4 * MOST_CHARACTERS:  # bytes of UTF-8: told before they are read
            raise ValueError(f"{path.stat().st_size:,} bytes; allowed: at most {MOST_CHARACTERS:,} characters")
        text = path.read_text(encoding="utf-8")
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"{len(text):,} characters; allowed: at most {MOST_CHARACTERS:,}")
        check_size(YAML(typ="safe").parse(text), MOST_VALUES, DEEPEST)
        document = YAML(typ="safe").load(text)  # as DVC reads it, which writes it, too: YAML 1.2
    except YAMLError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        hint = "; a key may stand once, and text with a colon stands on a line of its own, outside of braces"
        told = hint if isinstance(error, MarkedYAMLError) else ""
        raise StageError(f"{path}: not valid YAML: {' '.join(lines[:4])}{told}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, a number of 5,000 digits, a date that is none
        raise StageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except LookupError as error:  # what the parser makes of !!int "" or !!bool maybe
        told = f"a value is not of the type that its tag names ({type(error).__name__}: {error})"
        raise StageError(f"{path}: not valid YAML: {told}; remove the tag") from error
    if not isinstance(document, dict):
        raise StageError(f"{path}: holds {type(document).__name__}; a mapping with one section per stage is needed")
    return document


def format_params(held: Any) -> str:
    """What was read of a params file as YAML text, in the order in which it was read."""
    writer = YAML(typ="safe")
    writer.width, writer.default_flow_style = 100, False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    writer.dump(held, text)
    return text.getvalue()


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
    return f"{key}: got {shorten(fault['input'])}; {allowed}"


def shorten(held: object) -> str:
    """What a key holds, for a message."""
    try:
        text = repr(held)
    except ValueError:  # Python writes out no number of more than 4300 digits
        return "a number of too many digits"
    return text if len(text) <= HELD_LENGTH else f"{text[:HELD_LENGTH]}..."


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
    held = fault["input"]
    if not isinstance(held, str):
        return message
    if fault["type"] == "bool_type" and held.lower() in ("yes", "no", "on", "off", "y", "n"):
        return f"{message} (YAML 1.2 takes this for text; write true or false)"
    if fault["type"] in ("float_type", "int_type"):
        try:
            number = float(held)
        except ValueError:
            return message
        if math.isfinite(number):
            plain = int(number) if fault["type"] == "int_type" else number
            return f"{message} (this is text; write {plain} without quotes)"
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
