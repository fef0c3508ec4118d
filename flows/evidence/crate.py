"""The bundle as an RO-Crate 1.1 that follows the Provenance Run Crate profile (and so Workflow and Process Run Crate).

https://www.researchobject.org/ro-crate/specification/1.1/ and https://www.researchobject.org/workflow-run-crate/; the
package rocrate writes it. The workflow is dvc.yaml, each stage a step, each run of a stage an action. Files of the
bundle are data entities; what a stage wrote that is too large for a bundle is a contextual entity with its SHA-256.
"""

import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from rocrate.model import ComputationalWorkflow, ComputerLanguage, ContextEntity
from rocrate.rocrate import ROCrate

from flows.evidence.folder import Contents
from flows.evidence.inventory import FileHash, Inventory, is_below, select_below, tree_sha256
from flows.evidence.pipeline import LISTED, PARAMS, WORKFLOW
from flows.evidence.reading import Problem, UnreadableError, expect

README = "README.md"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
ENGINE = "https://dvc.org/"
LANGUAGE = "https://dvc.org/doc/user-guide/project-structure/dvcyaml-files"
COMPLETED = "http://schema.org/CompletedActionStatus"
CODE = ".py"
ENCODINGS = {".yaml": "application/yaml", ".lock": "application/yaml", ".md": "text/markdown"}


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
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms["sha256"] = "http://schema.org/sha256"
    language = crate.add(ComputerLanguage(crate, LANGUAGE, {"name": "DVC pipeline", "url": _ref(LANGUAGE)}))
    crate.add_workflow(dest_path=WORKFLOW, main=True, lang=language, cls=_Workflow)
    for name in sorted(files.keys() - {WORKFLOW}):
        about = {"about": _ref("./")} if name == README else {}
        crate.add_file(dest_path=name, properties={"name": titles.get(name, name), **about, **_describe(name, files)})
    sealed = {"name": titles[envelope], "encodingFormat": "application/vnd.dsse+json"}
    crate.add_file(dest_path=envelope, properties=sealed)
    metrics = [path for path in inventory.metrics if path in files]
    # Files that are the value of a formal parameter of the workflow.
    for path, identity in [(PARAMS, "#input-params"), *((path, _id("output", path)) for path in metrics)]:
        example = crate.get(quote(path))
        example["exampleOfWork"] = _ref(identity)
        _add(crate, identity, "FormalParameter", additionalType="File", name=path, workExample=example)
    for place, row in enumerate(table):
        _add_stage(crate, row, place, run, inventory, files)
    names = [row["stage"] for row in table]
    _add_whole_run(crate, run, names, metrics, _end(row["finished"] for row in table))
    crate.mainEntity._jsonld |= {  # a new workflow has a name and a language only
        "name": f"Pipeline of {run.project}",
        "conformsTo": _ref(BIOSCHEMAS),
        "url": ENGINE,
        "version": run.commit,
        "input": _ref("#input-params"),
        "output": _refs("output", metrics),
        "step": _refs("step", names),
        "hasPart": _refs("tool", names),
        **_describe(WORKFLOW, files),
    }
    _describe_root(crate, run, envelope, names)
    described: dict[str, Any] = crate.metadata.generate()
    return described


def compare_crate(path: str, contents: Contents, inventory: Inventory) -> Iterator[Problem]:
    """Where a crate gives another SHA-256 of a file or folder than the statement and the inventory."""
    names, listed, known = sorted(inventory.files), 0, dict(contents.files)
    for entity in expect(contents.parse(path, contents.json), dict, "crate")["@graph"]:
        if "sha256" not in entity:
            continue
        name = unquote(expect(entity["@id"], str, "@id"))
        if name not in contents.files:
            name = expect(entity["name"], str, "name")
        if name not in known:
            below = select_below(inventory.files, name, names)
            listed += len(below)
            if listed > LISTED:
                raise UnreadableError(path, f"folders in folders, with more than {LISTED} files")
            known[name] = below[name].sha256 if name in below else tree_sha256(below) if below else ""
        if entity["sha256"] != known[name]:
            yield Problem(path, f"another sha256 of {name} than that of the statement and the inventory")


class _Workflow(ComputationalWorkflow):  # type: ignore[misc]
    TYPES = (*ComputationalWorkflow.TYPES, "HowTo")  # its stages are steps


def _add_whole_run(crate: ROCrate, run: Run, names: list[str], metrics: list[str], end: dict[str, str]) -> None:
    """The run of all stages, and the engine that brought them up to date."""
    about = f"All stages of {WORKFLOW}, with the params of {PARAMS}"
    made = {"object": crate.get(PARAMS), "result": _compact([_ref(quote(path)) for path in metrics]), **end}
    told = {"name": f"Run {run.name}", "description": about, "instrument": crate.mainEntity, "actionStatus": COMPLETED}
    whole = _add(crate, _id("run", "all"), "CreateAction", **told, **made)
    engine = _add(crate, ENGINE, "SoftwareApplication", name="DVC", url=ENGINE, softwareVersion=run.dvc_version)
    told = {"name": f"DVC brings the stages of {WORKFLOW} up to date", "instrument": engine}
    _add(crate, _id("engine", "all"), "OrganizeAction", **told, object=_refs("control", names), result=whole)


def _describe_root(crate: ROCrate, run: Run, envelope: str, names: list[str]) -> None:
    """What the crate is as a whole: profiles, license, and the runs that it tells of."""
    terms = f"https://spdx.org/licenses/{run.license}"
    for url, name in [*PROFILES.items(), *([(terms, run.license)] if run.license else [])]:
        version = {"version": url[-3:]} if url in PROFILES else {}
        _add(crate, url, "CreativeWork", name=name, **version)
    for key, value in {
        "name": f"Evidence of {run.project}, run {run.name}",
        "description": "What the run used and made: results, params, lock file, environment, and the SHA-256 of every "
        f"file that a stage read or wrote. {envelope} holds the signature over all of it.",
        "datePublished": run.made,
        "license": _ref(terms) if run.license else "not stated",
        "conformsTo": [_ref(url) for url in PROFILES],
        "mentions": [_ref(_id("run", name)) for name in ("all", *names)],
    }.items():
        crate.root_dataset[key] = value


def _add_stage(
    crate: ROCrate, row: Mapping[str, Any], place: int, run: Run, inventory: Inventory, files: Mapping[str, FileHash]
) -> None:
    """A stage as a step, a tool, a run of the tool, and the engine's control of it; and what it read and wrote."""
    name, command, paths = row["stage"], row["command"], inventory.stages[row["stage"]]
    outs = {path for stage in inventory.stages.values() for path in stage.outs}
    # Code is told by the commit and by the inventory; here stand params, released data, and what stages hand on.
    read = [path for path in paths.deps if not path.endswith(CODE) or is_below(path, outs)]
    seconds = f", {row['seconds']} s" if row["seconds"] is not None else ""
    told = {"name": f"stage {name}", "description": command, "url": ENGINE, "softwareVersion": run.commit}
    tool = _add(crate, _id("tool", name), "SoftwareApplication", **told)
    step = _add(crate, _id("step", name), "HowToStep", name=name, position=str(place), workExample=tool)
    told = {"name": f"stage {name}", "description": f"{command} ({row['state']}{seconds})", "actionStatus": COMPLETED}
    used, made = (
        _compact([_add_data(crate, path, inventory, files) for path in below]) for below in (read, paths.outs)
    )
    told |= {"instrument": tool, "object": used, "result": made, **_end([row["finished"]])}
    action = _add(crate, _id("run", name), "CreateAction", **told)
    control = f"DVC runs stage {name}, or finds it up to date"
    _add(crate, _id("control", name), "ControlAction", name=control, instrument=step, object=action)


def _add_data(crate: ROCrate, path: str, inventory: Inventory, files: Mapping[str, FileHash]) -> Any:
    """A reference to an input or output: a file of the bundle, else an entity of its own, with its SHA-256."""
    if path in files:
        return _ref(quote(path))
    identity = _id("data", path)
    if identity not in crate:
        below = select_below(inventory.files, path, sorted(inventory.files))
        told = {"name": path, "contentSize": str(sum(held.size for held in below.values()))}
        if path in below:
            told |= {"sha256": below[path].sha256}
        else:
            about = f"{len(below)} files; sha256 is that of the lines of `sha256sum`, sorted by path"
            told |= {"sha256": tree_sha256(below), "description": about}
        _add(crate, identity, "CreativeWork", **told)
    return _ref(identity)


def _describe(name: str, files: Mapping[str, FileHash]) -> dict[str, str]:
    suffix = "." + name.rsplit(".", 1)[-1]
    encoding = ENCODINGS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {"encodingFormat": encoding, "contentSize": str(files[name].size), "sha256": files[name].sha256}


def _add(crate: ROCrate, identity: str, kind: str, **properties: Any) -> Any:
    return crate.add(ContextEntity(crate, identity, {"@type": kind, **properties}))


def _end(finished: Iterable[str | None]) -> dict[str, str]:
    times = sorted(time for time in finished if time)
    return {"endTime": times[-1]} if times else {}


def _id(kind: str, name: str) -> str:
    return f"#{kind}-{quote(name, safe='')}"


def _ref(identity: str) -> dict[str, str]:
    return {"@id": identity}


def _refs(kind: str, names: list[str]) -> Any:
    return _compact([_ref(_id(kind, name)) for name in names])


def _compact(entities: list[Any]) -> Any:
    """One value stands alone: JSON-LD compacts it so."""
    return entities[0] if len(entities) == 1 else entities
