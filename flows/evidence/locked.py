"""dvc.lock as written, and whether it agrees with bytes, params and commands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.evidence.hashing import FileHash, dvc_md5, select_below
from flows.evidence.problem import Problem

LOCK_FILE = "dvc.lock"
SCHEMA = "2.0"
ABSENT = "nothing"


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
    read = read_yaml(text)
    if not isinstance(read, dict) or str(read.get("schema")) != SCHEMA or not isinstance(read.get("stages"), dict):
        raise ValueError(f"no lock file of schema {SCHEMA}")
    return {name: _read_stage(name, stage) for name, stage in read["stages"].items()}


def read_yaml(text: bytes) -> Any:
    """Parse YAML 1.2, as DVC does (in YAML 1.1 `1e-8` is a word); ValueError if it is none."""
    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ValueError(f"no YAML ({' '.join(str(error).split())})") from error


def compare_files(stages: Mapping[str, LockedStage], files: Mapping[str, FileHash]) -> Iterator[Problem]:
    """Where dvc.lock and the bytes disagree; files: the hashes of all that the stages read and write."""
    seen: dict[str, str] = {}
    for name, stage in stages.items():
        for path, md5 in (*stage.deps.items(), *stage.outs.items()):
            if seen.setdefault(path, md5) != md5:
                yield Problem(LOCK_FILE, f"{name}: md5 of {path} is {md5}, another stage says {seen[path]}")
                continue
            below = select_below(files, path)
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
                    parsed[path] = read_yaml(files[path])
                except ValueError as error:
                    yield Problem(path, str(error))
                    return
            for key, value in values.items():
                found = _look_up(parsed[path], key)
                if found != value:
                    yield Problem(path, f"{key}: dvc.lock says {value!r} ({name}), the file {found!r}")


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
        command = stage["cmd"]
        return LockedStage(
            command if isinstance(command, str) else " && ".join(command),
            {entry["path"]: _md5(entry) for entry in stage.get("deps", ())},
            {entry["path"]: _md5(entry) for entry in stage.get("outs", ())},
            stage.get("params", {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"stage {name}: {error}") from error


def _md5(entry: dict[str, Any]) -> str:
    if "md5" not in entry:
        raise KeyError(f"{entry['path']} has no md5; only files of the project can be checked")
    return str(entry["md5"])
