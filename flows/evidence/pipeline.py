"""What a run was to make, by dvc.yaml and params.yaml, and what it made, by dvc.lock: read, and held together.

A bundle's dvc.yaml is a stranger's, and its templates can blow up: DVC fills them in in a process of its own
(`python -m flows.evidence.pipeline`), with limits of memory and time, in a folder that holds nothing else.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flows.evidence.inventory import FileHash, Inventory, LockedStage, StagePaths, dvc_md5, is_below, select_below
from flows.evidence.reading import Problem, UnreadableError, check_name, expect, parse_json, parse_yaml, tell

WORKFLOW, PARAMS, LOCK_FILE = "dvc.yaml", "params.yaml", "dvc.lock"
SCHEMA = "2.0"  # of dvc.lock
LISTED = 1_000_000  # files of all folders that the stages read and write
UNREAD = ("vars", "matrix", "wdir")  # of dvc.yaml: they open other files, multiply, or lead elsewhere
# What a bundle copies of the outputs: texts and tables that a person may read, whether git or DVC's cache holds them.
PLAIN_SUFFIXES, PLAIN_BYTES = (".json", ".csv", ".html", ".md", ".txt"), 1 << 20
STORE = ".zarr/"  # whose .json files tell nothing by themselves
PAGE = "data/report/report.html"
VERDICTS = {"data/acceptance", "data/check_claims", "data/compute_curves/areas.csv"}  # checked, whatever their size
ROOT = Path(__file__).parents[2]
SECONDS, CPU_SECONDS = 60, 4  # for DVC to start and to read, on a busy machine
MEMORY_BYTES, OUTPUT_BYTES = 768 << 20, 8 << 20
TOO_MUCH = "takes more than it may"


def read_lock(text: bytes) -> dict[str, LockedStage]:
    """Parse dvc.lock; ValueError if it is none that this reader knows."""
    read = parse_yaml(text)
    if not isinstance(read, dict) or str(read.get("schema")) != SCHEMA or not isinstance(read.get("stages"), dict):
        raise ValueError(f"no lock file of schema {SCHEMA}")
    return {expect(name, str, "stage"): _read_locked(name, stage) for name, stage in read["stages"].items()}


def join_command(command: Any) -> str:
    """A command of dvc.yaml or dvc.lock in one line; it may be a list."""
    lines = command if isinstance(command, list) else [command]
    return " && ".join(expect(line, str, "cmd") for line in lines)


def compare_lock(
    stages: Mapping[str, LockedStage], files: Mapping[str, FileHash], read: Callable[[str], bytes | None]
) -> Iterator[Problem]:
    """Where dvc.lock and the bytes disagree.

    files: the hashes of all that the stages read and write.  read: the bytes of a params file, None if it is not there.
    """
    yield from compare_files(stages, files)
    texts = {path: read(path) for path in sorted({path for stage in stages.values() for path in stage.params})}
    yield from compare_params(stages, {path: text for path, text in texts.items() if text is not None})


def compare_files(stages: Mapping[str, LockedStage], files: Mapping[str, FileHash]) -> Iterator[Problem]:
    """Where its hashes and the bytes disagree."""
    seen: dict[str, str] = {}
    names = sorted(files)
    listed = 0
    for name, stage in stages.items():
        for path, md5 in (*stage.deps.items(), *stage.outs.items()):
            if path in seen:
                if seen[path] != md5:
                    yield Problem(LOCK_FILE, f"{name}: md5 of {path} is {md5}, another stage says {seen[path]}")
                continue
            seen[path] = md5
            below = select_below(files, path, names)
            listed += len(below)
            if listed > LISTED:
                raise UnreadableError(LOCK_FILE, f"folders in folders, with more than {LISTED} files")
            found = dvc_md5(below, path) if below else "nothing"
            if found != md5:
                yield Problem(path, f"dvc.lock says md5 {md5} ({name}), the bytes give {found}")


def compare_params(stages: Mapping[str, LockedStage], files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Where dvc.lock and the params files disagree; files: the text of each one.

    A value of dvc.lock that is itself written as `a.b` stands for the key b in section a.
    """
    for name, stage in stages.items():
        for path, values in stage.params.items():
            if path not in files:
                yield Problem(path, f"not there, but dvc.lock names it ({name})")
                continue
            try:
                params = parse_yaml(files[path])  # once: what was parsed last is kept
            except ValueError as error:
                yield Problem(path, str(error))
                return
            for key, value in values.items():
                if (found := _look_up(params, key)) != value:
                    yield Problem(path, f"{key}: dvc.lock says {tell(value)} ({name}), the file {tell(found)}")


@dataclass(frozen=True)
class PlannedStage:
    """One stage of dvc.yaml with all templates filled in.

    metrics: the metrics files among the outs.  params: file -> keys; of a file without keys all count.
    """

    command: str
    deps: set[str]
    outs: set[str]
    metrics: set[str]
    params: dict[str, set[str]]


@lru_cache(maxsize=4)
def read_pipeline(workflow: bytes, params: bytes) -> dict[str, PlannedStage]:
    """The stages, templates filled in by DVC itself; ValueError if they cannot be read.

    workflow, params: the bytes of dvc.yaml and params.yaml.  DVC reads copies of the two, in a process with limits.
    Of the same bytes it returns the same object, not to be changed.
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
        # -P: modules beside dvc.yaml must not pass for others of their name.
        command = [sys.executable, "-P", "-m", "flows.evidence.pipeline"]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        bounds: dict[str, Any] = {"cwd": folder, "env": os.environ | {"PYTHONPATH": path}, "timeout": SECONDS}
        try:
            done = subprocess.run(command, capture_output=True, check=False, **bounds)
        except subprocess.TimeoutExpired as error:
            raise ValueError("takes DVC more time to read than it may") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [TOO_MUCH]
        raise ValueError(f"DVC cannot read it ({said[0]})")
    return {name: _read_planned(stage) for name, stage in expect(parse_json(done.stdout), dict, "stages").items()}


def choose_files(plan: Mapping[str, PlannedStage], files: Mapping[str, FileHash]) -> set[str]:
    """The files of a project that its bundle holds; files: all that stages read and wrote."""
    outs = {path for stage in plan.values() for path in stage.outs}

    def is_copied(path: str, size: int) -> bool:
        plain = path.endswith(PLAIN_SUFFIXES) and STORE not in path
        return path == PAGE or (plain and (size <= PLAIN_BYTES or is_below(path, VERDICTS)))

    copied = {path for path, held in files.items() if is_below(path, outs) and is_copied(path, held.size)}
    params = {path for stage in plan.values() for path in stage.params}
    return {WORKFLOW, PARAMS, LOCK_FILE, *params, *list_metrics(plan), *copied}


def list_metrics(plan: Mapping[str, PlannedStage]) -> list[str]:
    """All metrics files, sorted."""
    return sorted(path for stage in plan.values() for path in stage.metrics)


def compare_plan(
    plan: Mapping[str, PlannedStage], lock: Mapping[str, LockedStage], rows: list[Any], inventory: Inventory
) -> Iterator[Problem]:
    """Where dvc.lock, stages.json and inventory.json tell of other stages than dvc.yaml, or tell otherwise of them.

    lock: stages of dvc.lock; those that dvc.yaml no longer has are left alone, for nothing rests on them.
    """
    told = [(str(row.get("stage")), row) if isinstance(row, dict) else ("", {}) for row in rows]
    for what, names in (("stages.json", [name for name, _ in told]), ("inventory.json", list(inventory.stages))):
        for name in sorted(plan.keys() - set(names)):
            yield Problem(what, f"no stage {name}, which {WORKFLOW} has")
        if extra := [name for name in names if name not in plan] or len(names) > len(plan):
            yield Problem(what, f"stages that {WORKFLOW} does not have, or one twice: {tell(extra)}")
    if not told or sorted(inventory.metrics) != list_metrics(plan):
        yield Problem("inventory.json", f"other metrics files than those of {WORKFLOW}")
    for name, row in told:
        if name in plan and row.get("state") != "up to date":
            yield Problem("stages.json", f"{name}: {tell(row.get('state'))}, no result of dvc.lock")
        if name in plan and row.get("command") != plan[name].command:
            yield Problem("stages.json", f"{name}: another command than in {WORKFLOW}")
    for name, stage in plan.items():
        held = lock.get(name)
        if held is None:
            yield Problem(LOCK_FILE, f"no stage {name}")
            continue
        if held.command != stage.command:
            yield Problem(LOCK_FILE, f"{name}: another command than in {WORKFLOW}")
        kept = {path: {str(key) for key in values} for path, values in held.params.items()}
        whole = {path: keys or kept.get(path, set()) for path, keys in stage.params.items()}
        paths = inventory.stages.get(name, StagePaths([], []))
        for what, planned, locked, listed in (
            ("deps", stage.deps, set(held.deps), set(paths.deps) - set(held.params)),
            ("outs", stage.outs, set(held.outs), set(paths.outs)),
            ("params", whole, kept, whole if set(held.params) <= set(paths.deps) else None),
        ):
            if locked != planned:
                yield Problem(LOCK_FILE, f"{name}: other {what} than in {WORKFLOW}")
            if listed != planned:
                yield Problem("inventory.json", f"{name}: other {what} than in {WORKFLOW}")
    roots = {path for stage in inventory.stages.values() for path in (*stage.deps, *stage.outs)}
    for name in inventory.files:
        if not is_below(name, roots):
            yield Problem("inventory.json", f"{name}: a file that no stage reads or writes")


def _read_planned(stage: dict[str, Any]) -> PlannedStage:
    outs: dict[str, set[str]] = {
        kind: {
            check_name(path)
            for entry in expect(stage.get(kind, []), list, kind)
            for path in ([entry] if isinstance(entry, str) else expect(entry, dict, "out"))
        }
        for kind in ("outs", "metrics", "plots")
    }
    params: dict[str, set[str]] = {}
    for entry in expect(stage.get("params", []), list, "params"):
        for path, keys in [(PARAMS, [entry])] if isinstance(entry, str) else entry.items():
            params.setdefault(check_name(path), set()).update(keys or ())
    deps = {check_name(path) for path in expect(stage.get("deps", []), list, "deps")}
    return PlannedStage(join_command(stage["cmd"]), deps, set().union(*outs.values()), outs["metrics"], params)


def _look_up(params: Any, key: str) -> Any:
    if isinstance(params, dict) and key in params:
        return params[key]
    for part in key.split("."):
        if not isinstance(params, dict) or part not in params:
            return None
        params = params[part]
    return params


def _read_locked(name: str, stage: Any) -> LockedStage:
    def read_md5(entry: dict[str, Any]) -> str:
        if "md5" not in entry:
            raise KeyError(f"{entry['path']} has no md5; only files of the project can be checked")
        return str(entry["md5"])

    try:
        params = expect(stage.get("params", {}), dict, "params")
        deps, outs = (
            {check_name(entry["path"]): read_md5(entry) for entry in stage.get(kind, ())} for kind in ("deps", "outs")
        )
        held = {check_name(path): expect(values, dict, path) for path, values in params.items()}
        return LockedStage(join_command(stage["cmd"]), deps, outs, held)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"stage {name}: {error}") from error


def main() -> None:
    """Print stage -> its definition in dvc.yaml here, with all templates filled in; exit code 1 if DVC cannot."""
    with suppress(ValueError, OSError):  # macOS knows no limit of memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc.parsing import DataResolver
    from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
    from dvc.utils.serialize import parse_yaml
    from voluptuous import Invalid

    try:
        read = COMPILED_MULTI_STAGE_SCHEMA(parse_yaml(Path(WORKFLOW).read_text(encoding="utf-8"), WORKFLOW))
        found = DataResolver(SimpleNamespace(fs=localfs, config={}), "", read).resolve()
        text = json.dumps(found["stages"])
    except (DvcException, Invalid, ValueError, TypeError, KeyError, AssertionError) as error:
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split())[:300])
    except (MemoryError, RecursionError):
        sys.exit(TOO_MUCH)
    if len(text) > OUTPUT_BYTES:
        sys.exit(TOO_MUCH)
    print(text)


if __name__ == "__main__":
    main()
