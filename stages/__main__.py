"""`python -m stages`: check every section of params.yaml before any stage runs."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.common.errors import StageError
from stages.common.params import Section, check_section, read_params

ROOMS = sorted(path.parent.name for path in Path(__file__).parent.glob("*/params.py") if path.parent.name != "common")


def main(
    params: Annotated[Path, typer.Option("--params", help="The params file to check.")] = Path("params.yaml"),
) -> None:
    """Check every section of params.yaml: unknown keys, wrong types, values out of range, missing sections.

    Each stage checks its own section again when it runs; checking all of them first costs a second and saves finding
    the last stage's typing error after the first stage's hour.
    """
    try:
        check_params(params)
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def check_params(path: Path) -> None:
    """Check a whole params file; StageError for the first fault."""
    document = read_params(path)
    unknown = [name for name in document if name not in ROOMS]
    if unknown:
        raise StageError(f"{path}: {unknown[0]}: no stage of that name; sections: {', '.join(ROOMS)}")
    for room in ROOMS:
        if room not in document:
            raise StageError(f"{path}: section '{room}' is missing; it is needed by the stage of that name")
        check_room(room, document[room], path)


def check_room(room: str, node: Any, path: Path) -> None:
    """Check one stage's section; a stage with several entries (`ENTRIES = True`) has one section per entry."""
    module = importlib.import_module(f"stages.{room}.params")
    model: type[Section] = module.MODEL
    if not getattr(module, "ENTRIES", False):
        check_section(node, model, room, path)
        return
    if not isinstance(node, dict) or not node:
        raise StageError(f"{path}: {room}: got {node!r}; allowed: at least one named entry")
    for name, entry in node.items():
        check_section(entry, model, f"{room}.{name}", path)


if __name__ == "__main__":
    typer.run(main)
