"""The bundle as an RO-Crate 1.1 that follows the Provenance Run Crate profile (and so Workflow and Process Run Crate).

https://www.researchobject.org/ro-crate/specification/1.1/ and https://www.researchobject.org/workflow-run-crate/.
The workflow is dvc.yaml, each stage a step, each run of a stage an action. Files of the bundle are data entities; what
a stage wrote that is too large for a bundle is a contextual entity with its SHA-256.
"""

import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flows.evidence.hashing import FileHash, select_below, tree_sha256
from flows.evidence.inventory import Inventory, is_below

CRATE = "ro-crate-metadata.json"
WORKFLOW = "dvc.yaml"
PARAMS = "params.yaml"
README = "README.md"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}]
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
WORKFLOW_PROFILE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    WORKFLOW_PROFILE: "Workflow RO-Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
ENGINE = "https://dvc.org/"
LANGUAGE = "https://dvc.org/doc/user-guide/project-structure/dvcyaml-files"
COMPLETED = "http://schema.org/CompletedActionStatus"
CODE = ".py"
ENCODINGS = {".yaml": "application/yaml", ".lock": "application/yaml", ".md": "text/markdown"}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What a crate says of the run as a whole.

    made: when the bundle was made, ISO 8601.  license: an SPDX identifier, empty if none is stated.
    """

    name: str
    project: str
    made: str
    license: str
    commit: str
    dvc_version: str


def describe_crate(
    run: Run,
    files: Mapping[str, FileHash],
    envelope: str,
    inventory: Inventory,
    table: list[dict[str, Any]],
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """The JSON-LD of a crate.

    files: those of the bundle, save this one and the envelope.  table: as from `read_stage_table`.
    titles: file of the bundle -> what it is, for those that the bundle itself adds.
    """
    outs = [path for stage in inventory.stages.values() for path in stage.outs]
    large: dict[str, Entity] = {}
    stages: list[Entity] = []
    for place, row in enumerate(table):
        stages += _describe_stage(row, place, run, inventory, files, large, outs)
    names = [row["stage"] for row in table]
    metrics = [path for path in inventory.metrics if path in files]
    # Files that are the value of a formal parameter of the workflow.
    values = {PARAMS: "#input-params", **{path: _id("output", path) for path in metrics}}
    actions = [_id("run", "all"), *(_id("run", name) for name in names)]
    data = [*sorted(files), envelope]
    graph: list[Entity] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": _refs([SPECIFICATION, WORKFLOW_PROFILE]),
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Evidence of {run.project}, run {run.name}",
            "description": "What the run used and made: results, params, lock file, environment, and the SHA-256 of "
            f"every file that a stage read or wrote. {envelope} holds the signature over all of it.",
            "datePublished": run.made,
            "license": _ref(f"https://spdx.org/licenses/{run.license}") if run.license else "not stated",
            "conformsTo": _refs(PROFILES),
            "mainEntity": _ref(WORKFLOW),
            "hasPart": _refs(_path(name) for name in data),
            "mentions": _refs(actions),
        },
        {
            "@id": WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": f"Pipeline of {run.project}",
            "conformsTo": _ref(BIOSCHEMAS),
            "programmingLanguage": _ref(LANGUAGE),
            "url": ENGINE,
            "version": run.commit,
            "input": _ref(values[PARAMS]),
            "output": _refs(_id("output", path) for path in metrics),
            "step": _refs(_id("step", name) for name in names),
            "hasPart": _refs(_id("tool", name) for name in names),
            **_describe_bytes(WORKFLOW, files[WORKFLOW]),
        },
        *(
            _describe_file(name, files[name], titles)
            | ({"exampleOfWork": _ref(values[name])} if name in values else {})
            for name in sorted(files)
            if name != WORKFLOW
        ),
        {"@id": envelope, "@type": "File", "name": titles[envelope], "encodingFormat": "application/vnd.dsse+json"},
        _describe_parameter(values[PARAMS], PARAMS, PARAMS),
        *(_describe_parameter(_id("output", path), path, _path(path)) for path in metrics),
        *({"@id": url, "@type": "CreativeWork", "name": name, "version": url[-3:]} for url, name in PROFILES.items()),
        *_describe_license(run.license),
        {"@id": LANGUAGE, "@type": "ComputerLanguage", "name": "DVC pipeline", "url": _ref(LANGUAGE)},
        {
            "@id": ENGINE,
            "@type": "SoftwareApplication",
            "name": "DVC",
            "url": ENGINE,
            "softwareVersion": run.dvc_version,
        },
        {
            "@id": _id("engine", "all"),
            "@type": "OrganizeAction",
            "name": f"DVC brings the stages of {WORKFLOW} up to date",
            "instrument": _ref(ENGINE),
            "object": _refs(_id("control", name) for name in names),
            "result": _ref(_id("run", "all")),
        },
        {
            "@id": _id("run", "all"),
            "@type": "CreateAction",
            "name": f"Run {run.name}",
            "description": f"All stages of {WORKFLOW}, with the params of {PARAMS}",
            "instrument": _ref(WORKFLOW),
            "object": _ref(PARAMS),
            "result": _refs(_path(path) for path in metrics),
            "actionStatus": COMPLETED,
            **_end(row["finished"] for row in table),
        },
        *stages,
        *large.values(),
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _describe_stage(
    row: Mapping[str, Any],
    place: int,
    run: Run,
    inventory: Inventory,
    files: Mapping[str, FileHash],
    large: dict[str, Entity],
    outs: list[str],
) -> list[Entity]:
    """A stage as a step, a tool, a run of the tool, and the engine's control of it; adds what it read to `large`."""
    name = row["stage"]
    paths = inventory.stages[name]
    made = set(outs)
    # Code is told by the commit and by the inventory; here stand params, released data, and what stages hand on.
    read = [path for path in paths.deps if not path.endswith(CODE) or is_below(path, made)]
    seconds = f", {row['seconds']} s" if row["seconds"] is not None else ""
    return [
        {
            "@id": _id("step", name),
            "@type": "HowToStep",
            "name": name,
            "position": str(place),
            "workExample": _ref(_id("tool", name)),
        },
        {
            "@id": _id("tool", name),
            "@type": "SoftwareApplication",
            "name": f"stage {name}",
            "description": row["command"],
            "url": ENGINE,
            "softwareVersion": run.commit,
        },
        {
            "@id": _id("run", name),
            "@type": "CreateAction",
            "name": f"stage {name}",
            "description": f"{row['command']} ({row['state']}{seconds})",
            "instrument": _ref(_id("tool", name)),
            "object": _compact([_name_data(path, inventory, files, large) for path in read]),
            "result": _compact([_name_data(path, inventory, files, large) for path in paths.outs]),
            "actionStatus": COMPLETED,
            **_end([row["finished"]]),
        },
        {
            "@id": _id("control", name),
            "@type": "ControlAction",
            "name": f"DVC runs stage {name}, or finds it up to date",
            "instrument": _ref(_id("step", name)),
            "object": _ref(_id("run", name)),
        },
    ]


def _name_data(path: str, inventory: Inventory, files: Mapping[str, FileHash], large: dict[str, Entity]) -> Entity:
    """A reference to an input or output: a file of the bundle, else a described entity of its own."""
    if path in files:
        return _ref(_path(path))
    below = select_below(inventory.files, path)
    entity = {
        "@id": _id("data", path),
        "@type": "CreativeWork",
        "name": path,
        "sha256": below[path].sha256 if path in below else tree_sha256(below),
        "contentSize": str(sum(held.size for held in below.values())),
    }
    if path not in below:
        entity["description"] = f"{len(below)} files; sha256 is that of the lines of `sha256sum`, sorted by path"
    large[entity["@id"]] = entity
    return _ref(entity["@id"])


def _describe_file(name: str, held: FileHash, titles: Mapping[str, str]) -> Entity:
    about = {"about": _ref("./")} if name == README else {}
    return {"@id": _path(name), "@type": "File", "name": titles.get(name, name), **about, **_describe_bytes(name, held)}


def _describe_bytes(name: str, held: FileHash) -> Entity:
    suffix = "." + name.rsplit(".", 1)[-1]
    encoding = ENCODINGS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {"encodingFormat": encoding, "contentSize": str(held.size), "sha256": held.sha256}


def _describe_parameter(identity: str, path: str, example: str) -> Entity:
    return {
        "@id": identity,
        "@type": "FormalParameter",
        "additionalType": "File",
        "name": path,
        "workExample": _ref(example),
    }


def _describe_license(name: str) -> list[Entity]:
    if not name:
        return []
    return [{"@id": f"https://spdx.org/licenses/{name}", "@type": "CreativeWork", "name": name}]


def _end(finished: Iterable[str | None]) -> Entity:
    times = sorted(time for time in finished if time)
    return {"endTime": times[-1]} if times else {}


def _id(kind: str, name: str) -> str:
    return f"#{kind}-{quote(name, safe='')}"


def _path(name: str) -> str:
    return quote(name)


def _ref(identity: str) -> Entity:
    return {"@id": identity}


def _refs(identities: Iterable[str]) -> list[Entity] | Entity:
    return _compact([_ref(identity) for identity in identities])


def _compact(entities: list[Entity]) -> list[Entity] | Entity:
    """One value stands alone: JSON-LD compacts it so."""
    return entities[0] if len(entities) == 1 else entities
