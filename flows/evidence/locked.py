"""dvc.lock as written, and whether it agrees with bytes, params and commands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.evidence.hashing import FileHash, dvc_md5, select_below
from flows.evidence.parsing import expect, parse_yaml
from flows.evidence.problem import Problem
from flows.evidence.reading import UnreadableError, check_name, tell

LOCK_FILE = "dvc.lock"
SCHEMA = "2.0"
ABSENT = "nothing"
LISTED = 1_000_000  # files of all folders that the stages read and write


@dataclass(frozen=True)
class LockedStage:
    """One stage of dvc.lock.

    deps, outs: path -> MD5, that of a folder ends with `.dir`.  params: file -> key -> value.
    """

    command: str
    deps: dict[str, str]
    outs: dict[str, str]
    params: dict[str, dict[str, Any]]


def read_lock(text: bytes) -> dict[str, LockedStage]:
    """Parse dvc.lock; ValueError if it is none that this reader knows."""
    read = parse_yaml(text)
    if not isinstance(read, dict) or str(read.get("schema")) != SCHEMA or not isinstance(read.get("stages"), dict):
        raise ValueError(f"no lock file of schema {SCHEMA}")
    return {expect(name, str, "stage"): _read_stage(name, stage) for name, stage in read["stages"].items()}


def join_command(command: Any) -> str:
    """A command of dvc.yaml or dvc.lock in one line; it may be a list."""
    lines = command if isinstance(command, list) else [command]
    return " && ".join(expect(line, str, "cmd") for line in lines)


def compare_files(stages: Mapping[str, LockedStage], files: Mapping[str, FileHash]) -> Iterator[Problem]:
    """Where dvc.lock and the bytes disagree; files: the hashes of all that the stages read and write."""
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
            found = dvc_md5(below, path) if below else ABSENT
            if found != md5:
                yield Problem(path, f"dvc.lock says md5 {md5} ({name}), the bytes give {found}")


def compare_params(stages: Mapping[str, LockedStage], files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Where dvc.lock and the params files disagree; files: the text of each one.

    A value of dvc.lock that is itself written as `a.b` stands for the key b in section a.
    """
    parsed: dict[str, Any] = {}
    for name, stage in stages.items():
        for path, values in stage.params.items():
            if path not in files:
                yield Problem(path, f"not there, but dvc.lock names it ({name})")
                continue
            if path not in parsed:
                try:
                    parsed[path] = parse_yaml(files[path])
                except ValueError as error:
                    yield Problem(path, str(error))
                    return
            for key, value in values.items():
                found = _look_up(parsed[path], key)
                if found != value:
                    yield Problem(path, f"{key}: dvc.lock says {tell(value)} ({name}), the file {tell(found)}")


def _look_up(params: Any, key: str) -> Any:
    if isinstance(params, dict) and key in params:
        return params[key]
    for part in key.split("."):
        if not isinstance(params, dict) or part not in params:
            return None
        params = params[part]
    return params


def _read_stage(name: str, stage: Any) -> LockedStage:
    try:
        params = expect(stage.get("params", {}), dict, "params")
        return LockedStage(
            join_command(stage["cmd"]),
            {check_name(entry["path"]): _md5(entry) for entry in stage.get("deps", ())},
            {check_name(entry["path"]): _md5(entry) for entry in stage.get("outs", ())},
            {check_name(path): expect(values, dict, path) for path, values in params.items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"stage {name}: {error}") from error


def _md5(entry: dict[str, Any]) -> str:
    if "md5" not in entry:
        raise KeyError(f"{entry['path']} has no md5; only files of the project can be checked")
    return str(entry["md5"])
