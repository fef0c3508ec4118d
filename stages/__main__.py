"""`python -m stages`: check every section of params.yaml before any stage runs."""

import importlib
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from failure_atlas.brought.folder import check_brought
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.core.errors import StageError
from failure_atlas.core.fields import Section
from stages.common.classifier_params import ENTRIES
from stages.common.classifiers import KEY, check_classifiers, check_name
from stages.common.image_params import CorruptImagesParams, PrepareImagesParams
from stages.common.mode_params import FindModesParams
from stages.common.params import check_section, read_params, shorten
from stages.cross_checks import GENERATOR, TRAINED, Document, check_across, check_files

BROUGHT = Path("data/brought")  # as dvc.yaml has it
NAMED = {*ENTRIES, "bring_generator"}  # sections of named entries
MAY_BE_EMPTY = ("bring_classifiers", "bring_generator")  # nobody has to bring one
PASSED = "params.yaml is good\n"  # always the same, so that what rests on it runs no more often
# What several stages read; each other section stands in the params.py of its stage.
SHARED: dict[str, type[Section]] = {
    "prepare_images": PrepareImagesParams,
    "corrupt_images": CorruptImagesParams,
    "find_modes": FindModesParams,
    **ENTRIES,
}
ROOMS = sorted({*SHARED, *(path.parent.name for path in Path(__file__).parent.glob("*/params.py"))} - {"common"})


def main(
    params: Annotated[Path, typer.Option("--params", help="The params file to check.")] = Path("params.yaml"),
    partial: Annotated[bool, typer.Option("--partial", help="Check what is there; sections may be missing.")] = False,
    brought: Annotated[Path, typer.Option(help="The folder of the classifiers that were brought.")] = BROUGHT,
    passed: Annotated[Path | None, typer.Option(help="A file to write if all is good: DVC's first stage.")] = None,
) -> None:
    """Check every section of params.yaml: unknown keys, wrong types, values out of range, missing sections.

    Then what one section says of another: metrics and classifiers that are named somewhere, more samples or dimensions
    than there are, released networks for other images. And that the folder of each brought classifier is there, with
    the files and modules that its entry names, and each file that is pinned by its hash, unchanged. Each stage checks
    its own section again when it runs; checking all of them first costs seconds and saves finding the last stage's
    typing error after the first stage's hour.
    """
    try:
        checked = check_params(params, partial=partial)
        check_all_brought(read_params(params), brought)
        check_files(checked)
        if passed is not None:
            passed.parent.mkdir(parents=True, exist_ok=True)
            passed.write_text(PASSED, encoding="utf-8")
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def check_params(path: Path, *, partial: bool = False) -> Document:
    """Check a whole params file, each section and then one against the other; StageError for the first fault.

    partial: no section has to be there. Those of a profile (`PROFILE = "study"` in a room's params) never have to.
    """
    document = read_params(path)
    check_rewritten(path)
    return check_document(document, path, partial=partial)


def check_document(document: dict[str, Any], path: Path, *, partial: bool = False) -> Document:
    """The same of what was read of a params file; path: for messages."""
    unknown = [name for name in document if name not in (KEY, GENERATOR, *ROOMS)]
    if unknown:
        raise StageError(
            f"{path}: {unknown[0]}: no stage of that name; sections: {', '.join([KEY, GENERATOR, *ROOMS])}"
        )
    sections = {}
    for room in ROOMS:
        if room in document:
            sections[room] = check_room(room, document[room], path)
        elif not partial and not (room not in SHARED and hasattr(_params_of(room), "PROFILE")):
            raise StageError(f"{path}: section '{room}' is missing; it is needed by the stage of that name")
    classifiers = check_classifiers(document, path) if KEY in document or not partial else {}
    checked = Document(path, sections, classifiers, check_generator(document, path, partial=partial))
    check_across(checked)
    return checked


def check_rewritten(path: Path) -> None:
    """Raise StageError for what DVC cannot read any more once `dvc exp run -S` has written the file anew.

    It drops quotes: between braces `"module:name"` is then no text.
    """
    yaml, written = YAML(), StringIO()
    try:
        yaml.dump(yaml.load(path.read_text(encoding="utf-8")), written)
        YAML(typ="safe").load(written.getvalue())
    except YAMLError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise StageError(
            f"{path}: DVC cannot read it after dvc exp run -S, which drops quotes: {' '.join(lines[:4])}; text with a "
            "colon stands on a line of its own, outside of braces, as in the comments there"
        ) from error


def check_room(room: str, node: Any, path: Path) -> Section | dict[str, Section]:
    """Check one stage's section; those of classifiers have one section per entry."""
    model: type[Section] = SHARED[room] if room in SHARED else _params_of(room).MODEL
    if room not in NAMED:
        return check_section(node, model, room, path)
    may_be_empty = room in MAY_BE_EMPTY
    if not isinstance(node, dict) or not (node or may_be_empty):
        allowed = "named entries, or {} for none" if may_be_empty else "at least one named entry"
        raise StageError(f"{path}: {room}: got {shorten(node)}; allowed: {allowed}")
    names = [check_name(name, room, path) for name in node]
    return {name: check_section(node[name], model, f"{room}.{name}", path) for name in names}


def check_generator(document: dict[str, Any], path: Path, *, partial: bool) -> str:
    """Whose images later stages show, as the key `generator` says; StageError if nothing of that name makes any."""
    held = document.get(GENERATOR, TRAINED if partial else None)
    allowed = [TRAINED, *(f"bring_generator/{name}" for name in document.get("bring_generator") or {})]
    if held not in allowed:
        raise StageError(f"{path}: {GENERATOR}: got {shorten(held)}; allowed: {' or '.join(allowed)}")
    return str(held)


def check_all_brought(document: dict[str, Any], brought: Path) -> None:
    """Raise StageError if what an entry of bring_classifiers names is not in its folder below `brought`.

    DVC would say no more than that a dependency is missing, and not before it came to the stage. Of an entry that is
    not under test the folder alone has to be there, for DVC.
    """
    for name, entry in (document.get("bring_classifiers") or {}).items():
        if name in document.get(KEY, {name: ""}):
            section = BringClassifierParams.model_validate(entry)
            check_brought(section, brought / name, f"bring_classifiers.{name}")
        elif not (brought / name).is_dir():
            raise StageError(
                f"{brought / name}: no such folder, for which DVC looks although {KEY} does not name {name}; make it, "
                f"or remove bring_classifiers.{name} from params"
            )


def _params_of(room: str) -> ModuleType:
    return importlib.import_module(f"stages.{room}.params")


if __name__ == "__main__":
    typer.run(main)
