"""Typed, bounded sections of params.yaml."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stages.common.errors import StageError

SectionT = TypeVar("SectionT", bound="Section")


class Section(BaseModel):
    """Base of every params section: frozen, no unknown key, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
    except yaml.YAMLError as error:
        raise StageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise StageError(f"{path}: holds {type(document).__name__}; a mapping with one section per stage is needed")
    return document


def check_section(node: Any, model: type[SectionT], name: str, path: Path) -> SectionT:
    """Validate one parsed section; StageError with one line for the first fault found."""
    try:
        return model.model_validate(node)
    except ValidationError as error:
        raise StageError(f"{path}: {describe(error, model, name)}") from error


def describe(error: ValidationError, model: type[BaseModel], name: str) -> str:
    """One line for the first fault: key, what it held, what is allowed."""
    fault = error.errors()[0]
    key = ".".join([name, *(str(part) for part in fault["loc"])])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if fault["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(model, fault["loc"][:-1]))
        return f"{key}: unknown key; allowed here: {allowed}{more}"
    if fault["type"] == "missing":
        return f"{key}: missing; add it{more}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{key}: got {fault['input']!r}; allowed: {message}{more}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed at a place inside a section."""
    current: Any = model
    for part in location:
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return ["see the comments in params.yaml"]
        current = field.annotation
    return list(current.model_fields) if hasattr(current, "model_fields") else ["see the comments in params.yaml"]
