"""The in-toto Statement v1 of a bundle, with a SLSA provenance v1 predicate.

https://github.com/in-toto/attestation and https://slsa.dev/spec/v1.0/provenance. Subjects are the files of the bundle
and all that the stages wrote; resolved dependencies are the commit and all that they read and did not write.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flows.evidence.hashing import FileHash
from flows.evidence.inventory import Inventory
from flows.git import Revision

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
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

    files: SHA-256 of each file of the bundle.  place: 0 for the first bundle of a chain.
    """

    name: str
    files: dict[str, str]
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
    source = {"name": "source", "digest": {"gitCommit": revision.commit}}
    if revision.url:
        source["uri"] = f"git+{revision.url}"
    finished = sorted(str(row["finished"]) for row in table if row["finished"])
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            *(_describe(path, held, IN_BUNDLE) for path, held in sorted(files.items())),
            *(_describe(path, inventory.files[path], IN_PROJECT) for path in inventory.outs),
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "run": name,
                    "workflow": "dvc.yaml",
                    "params": "params.yaml",
                    "previous": previous and {"name": previous.name, "digest": {"sha256": previous.sha256}},
                },
                "internalParameters": {"place": place, "changed": revision.changed},
                "resolvedDependencies": [
                    source,
                    *(_describe(path, inventory.files[path], IN_PROJECT) for path in inventory.inputs),
                ],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": _versions()},
                "metadata": {"invocationId": name, **({"finishedOn": finished[-1]} if finished else {})},
            },
        },
    }
    return json.dumps(statement, separators=(",", ":"), allow_nan=False).encode()


def read_statement(payload: bytes) -> Claims:
    """What the payload of an accepted envelope says; ValueError if it is no statement of a bundle."""
    try:
        read: Any = json.loads(payload)
        if (read["_type"], read["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise ValueError(f"type {read['_type']}, predicate {read['predicateType']}")
        definition = read["predicate"]["buildDefinition"]
        if definition["buildType"] != BUILD_TYPE:
            raise ValueError(f"buildType {definition['buildType']}")
        external, internal = definition["externalParameters"], definition["internalParameters"]
        subjects = [entry for entry in read["subject"] if entry["annotations"]["in"] == IN_BUNDLE]
        before = external["previous"]
        return Claims(
            str(external["run"]),
            {str(entry["name"]): str(entry["digest"]["sha256"]) for entry in subjects},
            str(definition["resolvedDependencies"][0]["digest"]["gitCommit"]),
            [str(path) for path in internal["changed"]],
            Previous(str(before["name"]), str(before["digest"]["sha256"])) if before else None,
            int(internal["place"]),
        )
    except (KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _describe(path: str, held: FileHash, place: str) -> dict[str, Any]:
    """A resource descriptor; the annotation says whether the path starts at the bundle or at the project."""
    return {"name": path, "digest": {"sha256": held.sha256}, "annotations": {"in": place, "size": held.size}}


def _versions() -> dict[str, str]:
    found = {}
    for package in ("failure-atlas", "dvc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # run from a checkout that is not installed
    return found
