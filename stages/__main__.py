"""`python -m stages`: check every section of params.yaml before any stage runs."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from stages.bring_classifiers.brought_folder import check_brought
from stages.bring_classifiers.params import BringClassifierParams
from stages.common.classifiers import KEY, check_classifiers
from stages.common.errors import StageError
from stages.common.params import Section, check_section, read_params

BROUGHT = Path("data/brought")  # as dvc.yaml has it
ROOMS = sorted(path.parent.name for path in Path(__file__).parent.glob("*/params.py") if path.parent.name != "common")


def main(
    params: Annotated[Path, typer.Option("--params", help="The params file to check.")] = Path("params.yaml"),
    partial: Annotated[bool, typer.Option("--partial", help="Check what is there; sections may be missing.")] = False,
    brought: Annotated[Path, typer.Option(help="The folder of the classifiers that were brought.")] = BROUGHT,
) -> None:
    """Check every section of params.yaml: unknown keys, wrong types, values out of range, missing sections.

    And that the folder of each brought classifier is there, with the files and modules that its entry names. Each
    stage checks its own section again when it runs; checking all of them first costs a second and saves finding the
    last stage's typing error after the first stage's hour.
    """
    try:
        check_params(params, partial=partial)
        check_all_brought(read_params(params), brought)
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def check_params(path: Path, *, partial: bool = False) -> None:
    """Check a whole params file; StageError for the first fault.

    partial: no section has to be there. Those of a profile (`PROFILE = "study"` in a room's params) never have to.
    """
    document = read_params(path)
    unknown = [name for name in document if name not in (KEY, *ROOMS)]
    if unknown:
        raise StageError(f"{path}: {unknown[0]}: no stage of that name; sections: {', '.join([KEY, *ROOMS])}")
    for room in ROOMS:
        if room in document:
            check_room(room, document[room], path)
        elif not partial and not hasattr(_params_of(room), "PROFILE"):
            raise StageError(f"{path}: section '{room}' is missing; it is needed by the stage of that name")
    if KEY in document or not partial:
        check_classifiers(document, path)


def check_room(room: str, node: Any, path: Path) -> None:
    """Check one stage's section; a stage with several entries (`ENTRIES = True`) has one section per entry."""
    module = _params_of(room)
    model: type[Section] = module.MODEL
    if not getattr(module, "ENTRIES", False):
        check_section(node, model, room, path)
        return
    may_be_empty = getattr(module, "MAY_BE_EMPTY", False)
    if not isinstance(node, dict) or not (node or may_be_empty):
        allowed = "named entries, or {} for none" if may_be_empty else "at least one named entry"
        raise StageError(f"{path}: {room}: got {node!r}; allowed: {allowed}")
    for name, entry in node.items():
        check_section(entry, model, f"{room}.{name}", path)


def check_all_brought(document: dict[str, Any], brought: Path) -> None:
    """Raise StageError if what an entry of bring_classifiers names is not in its folder below `brought`.

    DVC would say no more than that a dependency is missing, and not before it came to the stage.
    """
    for name, entry in (document.get("bring_classifiers") or {}).items():
        section = BringClassifierParams.model_validate(entry)
        check_brought(section, brought / name, f"bring_classifiers.{name}")


def _params_of(room: str) -> ModuleType:
    return importlib.import_module(f"stages.{room}.params")


if __name__ == "__main__":
    typer.run(main)
