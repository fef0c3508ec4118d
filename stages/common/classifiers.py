"""Which classifiers are under test: the mapping `classifiers` of params.yaml, name to the section of the entry.

Command-line options of the form NAME=PATH, one for each classifier.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from failure_atlas.core.errors import StageError
from stages.common.params import read_params, shorten

KEY = "classifiers"
SECTIONS = ("train_classifiers", "bring_classifiers")  # trained here, or brought
NAME = re.compile("[a-z][a-z0-9_]{0,99}")


def read_classifiers(params: Path) -> dict[str, str]:
    """Name and section of each classifier under test, in the order of params.yaml.

    Raises StageError as `check_classifiers` does.
    """
    return check_classifiers(read_params(params), params)


def check_classifiers(document: dict[str, Any], path: Path) -> dict[str, str]:
    """The mapping `classifiers` of a whole params file.

    Raises StageError if it is missing or empty, a name is unfit, or a section is unknown or has no such entry.
    """
    held = document.get(KEY)
    if not isinstance(held, dict) or not held:
        raise StageError(
            f"{path}: {KEY}: got {shorten(held)}; allowed: at least one line `NAME: SECTION`, "
            f"where SECTION, {' or '.join(SECTIONS)}, has the classifier's entry"
        )
    for name, section in held.items():
        check_name(name, KEY, path)
        if section not in SECTIONS:
            raise StageError(f"{path}: {KEY}.{name}: got {shorten(section)}; allowed: {' or '.join(SECTIONS)}")
        entries = document.get(section) or {}
        if name not in entries:
            known = ", ".join(map(str, entries)) or "none"
            raise StageError(f"{path}: {KEY}.{name}: {section} has no entry '{name}'; add it; entries there: {known}")
    return dict(held)


def check_name(name: object, key: str, path: Path) -> str:
    """A classifier's name, which becomes part of the names of folders and stages; StageError if it is unfit."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise StageError(f"{path}: {key}: got the name {shorten(name)}; allowed: lower case letters, digits, _")
    return name


def expand_paths(pattern: str, classifiers: dict[str, str], option: str) -> dict[str, Path]:
    """One path per classifier: `{name}` and `{section}` in the pattern filled in.

    option: the command-line option that holds the pattern.  Raises StageError if `{name}` does not occur in it.
    """
    if "{name}" not in pattern:
        raise StageError(f"{option}: got '{pattern}'; allowed: a path with {{name}} in it, and perhaps {{section}}")
    return {
        name: Path(pattern.replace("{name}", name).replace("{section}", section))
        for name, section in classifiers.items()
    }


def parse_named_paths(values: Sequence[str], option: str) -> dict[str, Path]:
    """`["clean=a/b", ...]` as a mapping in the given order; StageError for a value without a name, or a name twice."""
    paths: dict[str, Path] = {}
    for value in values:
        name, sign, path = value.partition("=")
        if not (name and sign and path):
            raise StageError(f"{option}: got '{value}'; allowed: NAME=PATH, such as clean=data/rank_dimensions/clean")
        if name in paths:
            raise StageError(f"{option}: '{name}' is given twice; name each classifier once")
        paths[name] = Path(path)
    return paths
