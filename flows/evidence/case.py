"""The case of a run: its argument as YAML and picture, clauses with what supports them, and what is known of the tool.

Built by the library from params, verdicts and results, so that a project, a bundle and `verify` make the same bytes.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from failure_atlas.assurance.argument import Argument, build_argument
from failure_atlas.assurance.basis import gather, tell_domain
from failure_atlas.assurance.clauses import Support, support_clauses, write_clauses
from failure_atlas.assurance.croissant import write_croissant
from failure_atlas.assurance.drawing import TITLE, draw_argument
from failure_atlas.assurance.ml_bom import write_bom
from failure_atlas.assurance.notation import write_module
from failure_atlas.assurance.tool import COPIES, write_tool
from failure_atlas.decisions.acceptance import Verdict as Decision
from flows.evidence.folder import Contents
from flows.evidence.inventory import FileHash, Inventory, write_json
from flows.evidence.pipeline import PAGE, PARAMS
from flows.evidence.reading import Problem, UnreadableError, tell
from flows.evidence.recomputed import round_number

ARGUMENT, PICTURE = "case/argument.gsn.yaml", "case/argument.svg"
CLAUSES, TOOL = "case/clauses.csv", "case/tool.csv"
BOM, CROISSANT = "case/ml-bom.cdx.json", "case/croissant.json"
FOLDERS = ("data/prepare_images", "data/train_classifiers", "data/bring_classifiers")  # of what inventories list
STORE = f"{FOLDERS[0]}/images.zarr/"
WEIGHTS = ".safetensors"  # what a training leaves of a classifier
CASE_TITLES = {
    ARGUMENT: "Argument in the Goal Structuring Notation, for gsn2x",
    PICTURE: "The argument as a picture",
    CLAUSES: "Clauses of standards and law, and what supports each here",
    BOM: "Models and data as a CycloneDX 1.6 ML-BOM, with failure rates by kind of input",
    CROISSANT: "The data set as Croissant 1.0, every file with its SHA-256",
    TOOL: "What is known of this tool itself, and what that does not show",
}
EMBEDDED = {PICTURE: b"image/svg+xml", ARGUMENT: b"application/yaml"}  # in the page, too: all of their kind
NEAR = 15  # characters around a difference that are told
_ELEMENT = re.compile(r"^([A-Za-z]+-\S+):$")


@dataclass(frozen=True)
class Case:
    """files: bytes by path, `case/...`, without the copies of what tool.csv rests on."""

    argument: Argument
    clauses: Sequence[Support]
    files: Mapping[str, bytes]


def build_case(
    params: Mapping[str, Any],
    criteria: Sequence[Mapping[str, Any]],
    read: Callable[[str], bytes | None],
    files: Mapping[str, FileHash],
) -> Case:
    """The case; ValueError that names what cannot be read.

    criteria: entries of gates.json.  read: the bytes of a file by its path, None where there is none.
    files: at least those of the classifiers and of the images (FOLDERS), by path.
    """
    basis, clauses = gather(params, criteria, read), support_clauses(criteria)
    argument = build_argument(basis)
    source = params.get("prepare_images", {}).get("source")
    path = "data/prepare_images/metrics.json"
    images = {each: held for each, held in files.items() if each == path or each.startswith(STORE)}
    measured = {"path": path, "sha256": images[path].sha256} if path in images else {}
    texts = {
        ARGUMENT: write_module(argument),
        PICTURE: draw_argument(argument, TITLE),
        CLAUSES: write_clauses(clauses),
        TOOL: write_tool(read),
        BOM: _dump(write_bom(basis, list_weights(files), {"name": source, **measured} if source else {})),
        CROISSANT: _dump(
            write_croissant(
                str(source or "unknown"),
                tell_domain(params) or "no images are described in params.yaml",
                {each: (held.sha256, held.size) for each, held in images.items()},
            )
        ),
    }
    return Case(argument, clauses, {path: text.encode() for path, text in texts.items()})


def list_weights(files: Mapping[str, FileHash]) -> dict[str, str]:
    """The files of classifiers among all that a run read and wrote, with their SHA-256."""
    return {
        path: held.sha256 for path, held in files.items() if path.startswith(FOLDERS[1:]) and path.endswith(WEIGHTS)
    }


def _dump(content: Mapping[str, Any]) -> str:
    return write_json(content).decode()


def read_copies(project: Path) -> dict[str, bytes]:
    """What is known of the tool, from the files of a project, by the paths that a case gives them."""
    return {path: (project / own).read_bytes() for path, own in COPIES.items() if (project / own).is_file()}


def compare_case(
    params: Mapping[str, Any], decided: Sequence[Decision], contents: Contents, inventory: Inventory
) -> Iterator[Problem]:
    """Where the files of a bundle's case tell otherwise than its params, metrics and inventory give.

    decided: the verdicts, computed again.
    """

    def read(path: str) -> bytes | None:
        return contents.read(path) if path in contents.files else None

    entries = [each.as_dict() for each in decided]
    for entry in entries:
        entry["found"] = {key: round_number(value) for key, value in entry["found"].items()}
    try:
        case = build_case(params, entries, read, inventory.files)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(PARAMS, f"no case can be made of it ({tell(error)})") from error
    except UnreadableError:
        raise
    except ValueError as error:
        raise UnreadableError(PARAMS, tell(str(error))) from error
    for path, wanted in case.files.items():
        if (held := contents.read(path)) != wanted:
            yield Problem(path, _differ(wanted.decode(), held.decode(errors="replace")))
    page = contents.read(PAGE) if PAGE in contents.files else b""
    for path, kind in EMBEDDED.items():
        if {*re.findall(rb"data:%s;base64,([\w+/=]*)" % re.escape(kind), page)} != {b64encode(case.files[path])}:
            yield Problem(PAGE, f"embeds another {Path(path).name} than params and metrics give, or none")


def _differ(wanted: str, held: str) -> str:
    """The first line that is another, and the element that it stands in."""
    element = ""
    for line, other in zip_longest(wanted.splitlines(), held.splitlines(), fillvalue=""):
        if named := _ELEMENT.match(line):
            element = f"{named[1]}: "
        if line != other:
            same = next((i for i, (one, two) in enumerate(zip(line, other, strict=False)) if one != two), 0)
            start = max(0, same - NEAR)
            ours, theirs = (tell(each[start : start + 3 * NEAR].strip()) for each in (line, other))
            return f"{element}holds {theirs}; made again from the metrics: {ours}"
    return "other line ends than were written"
