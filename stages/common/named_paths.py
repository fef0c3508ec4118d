"""Command-line options of the form NAME=PATH, one for each classifier."""

from collections.abc import Sequence
from pathlib import Path

from stages.common.errors import StageError


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
