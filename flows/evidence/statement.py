"""The in-toto Statement v1 of a bundle, with a SLSA provenance v1 predicate, as in-toto-attestation has it.

https://github.com/in-toto/attestation and https://slsa.dev/spec/v1.0/provenance. Subjects are the files of the bundle
and all others that the stages wrote; resolved dependencies are the commit and all that they read and did not write.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement

from flows.evidence.hashing import FileHash
from flows.evidence.inventory import Inventory
from flows.evidence.parsing import expect, parse_json
from flows.evidence.reading import check_name, tell
from flows.git import Revision

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:failure-atlas:dvc-repro:v1"
BUILDER = "urn:failure-atlas:builder:local"
IN_BUNDLE = "bundle"
IN_PROJECT = "project"


@dataclass(frozen=True)
class Previous:
    """The bundle before, by its name and the SHA-256 of its envelope."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Claims:
    """What a statement says that `verify` checks.

    files: SHA-256 of each file of the bundle.  others: of the files of the project beside them that the run read or
    wrote.  place: 0 for the first bundle of a chain.
    """

    name: str
    files: dict[str, str]
    others: dict[str, str]
    commit: str
    changed: list[str]
    previous: Previous | None
    place: int


def write_statement(
    name: str,
    files: Mapping[str, FileHash],
    inventory: Inventory,
    revision: Revision,
    table: list[dict[str, Any]],
    previous: Previous | None,
    place: int,
) -> bytes:
    """The payload of the envelope.  files: those of the bundle.  table: as from `read_stage_table`."""
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": revision.commit}}
    if revision.url:
        source["uri"] = f"git+{revision.url}"
    finished = sorted(str(row["finished"]) for row in table if row["finished"])
    # One subject a path: a file that the run wrote and that the bundle holds is one and the same.
    large = {path: inventory.files[path] for path in inventory.outs if path not in files}
    subjects = [
        *(_describe(path, held, IN_BUNDLE) for path, held in sorted(files.items())),
        *(_describe(path, held, IN_PROJECT) for path, held in large.items()),
    ]
    inputs = [_describe(path, inventory.files[path], IN_PROJECT) for path in inventory.inputs]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "run": name,
                "workflow": "dvc.yaml",
                "params": "params.yaml",
                "previous": previous and {"name": previous.name, "digest": {"sha256": previous.sha256}},
            },
            "internalParameters": {"place": place, "changed": revision.changed},
            "resolvedDependencies": [source, *(json_format.MessageToDict(entry) for entry in inputs)],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": _versions()},
            "metadata": {"invocationId": name, **({"finishedOn": finished[-1]} if finished else {})},
        },
    }
    statement = Statement(subjects, PREDICATE_TYPE, predicate)
    statement.validate()
    return json.dumps(
        _with_integers(json_format.MessageToDict(statement.pb)), separators=(",", ":"), allow_nan=False, sort_keys=True
    ).encode()


def read_statement(payload: bytes) -> Claims:
    """What the payload of an accepted envelope says; ValueError if it is no statement of a bundle."""
    try:
        read = expect(parse_json(payload), dict, "statement")
        found = json_format.ParseDict(read, statement_pb2.Statement())
        statement = Statement.copy_from_pb(found)
        statement.validate()
        if found.predicate_type != PREDICATE_TYPE:
            raise ValueError(f"predicate {found.predicate_type}")
        definition = read["predicate"]["buildDefinition"]
        if definition["buildType"] != BUILD_TYPE:
            raise ValueError(f"buildType {definition['buildType']}")
        external, internal = definition["externalParameters"], definition["internalParameters"]
        subjects = {check_name(entry["name"]): entry for entry in read["subject"]}
        if len(subjects) < len(read["subject"]):
            raise ValueError("two subjects of one name")
        source, *inputs = expect(definition["resolvedDependencies"], list, "resolvedDependencies")
        held: dict[str, dict[str, str]] = {IN_BUNDLE: {}, IN_PROJECT: {}}
        for name, entry in [*((check_name(entry["name"]), entry) for entry in inputs), *subjects.items()]:
            held[entry["annotations"]["in"]][name] = _read_digest(entry["digest"]["sha256"])
        before = external["previous"]
        return Claims(
            _read_folder(external["run"]),
            held[IN_BUNDLE],
            held[IN_PROJECT],
            _read_digest(source["digest"]["gitCommit"], (40, 64)),
            [expect(path, str, "changed") for path in expect(internal["changed"], list, "changed")],
            Previous(_read_folder(before["name"]), _read_digest(before["digest"]["sha256"])) if before else None,
            expect(internal["place"], int, "place"),
        )
    except (KeyError, TypeError, IndexError, AttributeError, json_format.ParseError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _describe(path: str, held: FileHash, place: str) -> Any:
    """A resource descriptor; the annotation says whether the path starts at the bundle or at the project."""
    return ResourceDescriptor(path, digest={"sha256": held.sha256}, annotations={"in": place, "size": held.size}).pb


def _with_integers(value: Any) -> Any:
    """Numbers without a fraction as integers again: to protobuf all are floats."""
    if isinstance(value, dict):
        return {key: _with_integers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_integers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_digest(text: Any, lengths: tuple[int, ...] = (64,)) -> str:
    if not isinstance(text, str) or len(text) not in lengths or not re.fullmatch("[0-9a-f]+", text):
        raise ValueError(f"{tell(text)}: no digest")
    return text


def _read_folder(name: Any) -> str:
    """The name of a bundle's folder."""
    if "/" in check_name(name):
        raise ValueError(f"{tell(name)}: no name of a folder")
    return str(name)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("failure-atlas", "dvc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # run from a checkout that is not installed
    return found
