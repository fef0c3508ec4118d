"""What dvc.yaml and params.yaml say that a run makes: the stages with commands, deps, outs and params."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.evidence.inventory import Inventory, is_below
from flows.evidence.locked import LOCK_FILE, LockedStage, join_command
from flows.evidence.parsing import expect, parse_json, parse_yaml
from flows.evidence.problem import Problem
from flows.evidence.reading import check_name, tell

WORKFLOW = "dvc.yaml"
PARAMS = "params.yaml"
SECONDS = 60  # for DVC to start and to read them, on a busy machine
UNREAD = ("vars", "matrix", "wdir")  # of dvc.yaml: they open other files, multiply, or lead elsewhere
PLAIN_SUFFIXES = (".json", ".csv", ".html", ".md", ".txt")  # of outputs that git holds; figures are in the report
ALWAYS_COPIED = ("data/report/report.html", "data/acceptance/gates.json", "data/check_claims/claims.json")


@dataclass(frozen=True)
class PlannedStage:
    """One stage of dvc.yaml with all templates filled in.

    plain: the outs that DVC does not cache, so that git holds them.  metrics: the metrics files among the outs.
    params: file -> keys; of a file without keys all count.
    """

    command: str
    deps: set[str]
    outs: set[str]
    plain: set[str]
    metrics: set[str]
    params: dict[str, set[str]]


def read_pipeline(workflow: bytes, params: bytes) -> dict[str, PlannedStage]:
    """The stages, templates filled in by DVC itself; ValueError if they cannot be read.

    workflow, params: the bytes of dvc.yaml and params.yaml.  DVC reads copies of the two, in a process with limits.
    """
    read = expect(parse_yaml(workflow), dict, WORKFLOW)
    parse_yaml(params)
    stages = expect(read.get("stages"), dict, "stages")
    for name, stage in (("the file", read), *((f"stage {name}", stage) for name, stage in stages.items())):
        parts = [expect(stage, dict, name), expect(expect(stage, dict, name).get("do", {}), dict, name)]
        unread = [key for key in UNREAD if any(key in part for part in parts)]
        if unread:
            raise ValueError(f"{name} has {', '.join(unread)}, which no evidence can be made of; write it out")
        if any(part.get("frozen") for part in parts):
            raise ValueError(f"{name} is frozen: DVC does not run it, so nobody knows what made its outs; unfreeze it")
    with tempfile.TemporaryDirectory(prefix="failure-atlas-dvc-") as folder:
        (Path(folder) / WORKFLOW).write_bytes(workflow)
        (Path(folder) / PARAMS).write_bytes(params)
        expander = Path(__file__).with_name("expand.py")
        # -P: modules beside the program must not pass for others of their name.
        command = [sys.executable, "-P", str(expander)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ValueError("takes DVC more time to read than it may") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["takes more than it may"]
        raise ValueError(f"DVC cannot read it ({said[0]})")
    return {name: _read_stage(stage) for name, stage in expect(parse_json(done.stdout), dict, "stages").items()}


def choose_files(plan: Mapping[str, PlannedStage], files: Mapping[str, Any]) -> set[str]:
    """The files of a project that its bundle holds; files: all that stages read and wrote."""
    outs = {path for stage in plan.values() for path in stage.outs}
    plain = {path for stage in plan.values() for path in stage.plain}
    copied = set(ALWAYS_COPIED)
    below = {
        path
        for path in files
        if (path.endswith(PLAIN_SUFFIXES) and is_below(path, plain))
        or (is_below(path, copied) and is_below(path, outs))
    }
    params = {path for stage in plan.values() for path in stage.params}
    return {WORKFLOW, PARAMS, LOCK_FILE, *params, *list_metrics(plan), *below}


def list_metrics(plan: Mapping[str, PlannedStage]) -> list[str]:
    """All metrics files, sorted."""
    return sorted(path for stage in plan.values() for path in stage.metrics)


def compare_plan(
    plan: Mapping[str, PlannedStage], lock: Mapping[str, LockedStage], rows: list[Any], inventory: Inventory
) -> Iterator[Problem]:
    """Where dvc.lock, stages.json and inventory.json tell of other stages than dvc.yaml, or tell otherwise of them.

    lock: stages of dvc.lock; those that dvc.yaml no longer has are left alone, for nothing rests on them.
    """
    told = [str(row.get("stage")) if isinstance(row, dict) else "" for row in rows]
    for what, names in (("stages.json", told), ("inventory.json", list(inventory.stages))):
        for name in sorted(plan.keys() - set(names)):
            yield Problem(what, f"no stage {name}, which {WORKFLOW} has")
        if extra := [name for name in names if name not in plan] or len(names) > len(plan):
            yield Problem(what, f"stages that {WORKFLOW} does not have, or one twice: {tell(extra)}")
    if not told or sorted(inventory.metrics) != list_metrics(plan):
        yield Problem("inventory.json", f"other metrics files than those of {WORKFLOW}")
    for row in rows:
        named = str(row.get("stage")) if isinstance(row, dict) else ""
        if named in plan:
            if row.get("state") != "up to date":
                yield Problem("stages.json", f"{named}: {tell(row.get('state'))}, no result of dvc.lock")
            if row.get("command") != plan[named].command:
                yield Problem("stages.json", f"{named}: another command than in {WORKFLOW}")
    for name, stage in plan.items():
        held = lock.get(name)
        if held is None:
            yield Problem(LOCK_FILE, f"no stage {name}")
            continue
        if held.command != stage.command:
            yield Problem(LOCK_FILE, f"{name}: another command than in {WORKFLOW}")
        kept = {path: {str(key) for key in values} for path, values in held.params.items()}
        whole = {path: keys or kept.get(path, set()) for path, keys in stage.params.items()}
        paths = inventory.stages.get(name)
        for what, planned, locked, listed in (
            ("deps", stage.deps, set(held.deps), paths and set(paths.deps) - set(held.params)),
            ("outs", stage.outs, set(held.outs), paths and set(paths.outs)),
            ("params", whole, kept, whole if paths and set(held.params) <= set(paths.deps) else None),
        ):
            if locked != planned:
                yield Problem(LOCK_FILE, f"{name}: other {what} than in {WORKFLOW}")
            if listed != planned:
                yield Problem("inventory.json", f"{name}: other {what} than in {WORKFLOW}")
    roots = {path for stage in inventory.stages.values() for path in (*stage.deps, *stage.outs)}
    for name in inventory.files:
        if not is_below(name, roots):
            yield Problem("inventory.json", f"{name}: a file that no stage reads or writes")


def _read_stage(stage: dict[str, Any]) -> PlannedStage:
    outs = [
        (path, options, kind)
        for kind in ("outs", "metrics", "plots")
        for entry in expect(stage.get(kind, []), list, kind)
        for path, options in _read_entry(entry)
    ]
    params: dict[str, set[str]] = {}
    for entry in expect(stage.get("params", []), list, "params"):
        for path, keys in [(PARAMS, [entry])] if isinstance(entry, str) else entry.items():
            params.setdefault(check_name(path), set()).update(keys or ())
    return PlannedStage(
        join_command(stage["cmd"]),
        {check_name(path) for path in expect(stage.get("deps", []), list, "deps")},
        {path for path, _, _ in outs},
        {path for path, options, _ in outs if options.get("cache") is False},
        {path for path, _, kind in outs if kind == "metrics"},
        params,
    )


def _read_entry(entry: Any) -> list[tuple[str, dict[str, Any]]]:
    entries = {entry: {}} if isinstance(entry, str) else expect(entry, dict, "out")
    return [(check_name(path), expect(options or {}, dict, path)) for path, options in entries.items()]
