"""Every file that a stage reads or writes, with hashes computed from its bytes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.evidence.hashing import FileHash, hash_file, hash_path, keep_outermost, list_files
from flows.evidence.locked import LockedStage
from flows.evidence.parsing import expect
from flows.evidence.problem import Problem
from flows.evidence.reading import check_name


@dataclass(frozen=True)
class StagePaths:
    """What one stage reads and writes, files or folders, as dvc.lock names them."""

    deps: list[str]
    outs: list[str]


@dataclass(frozen=True)
class Inventory:
    """files: path in the project -> its hashes.  metrics: the metrics files among them."""

    files: dict[str, FileHash]
    stages: dict[str, StagePaths]
    metrics: list[str]

    @property
    def outs(self) -> list[str]:
        """The files that a stage wrote."""
        roots = {path for stage in self.stages.values() for path in stage.outs}
        return [name for name in self.files if is_below(name, roots)]

    @property
    def inputs(self) -> list[str]:
        """The files that no stage wrote: sources, params, released data."""
        made = set(self.outs)
        return [name for name in self.files if name not in made]

    def to_json(self) -> dict[str, Any]:
        """As it stands in a bundle."""
        return asdict(self)

    @staticmethod
    def from_json(read: Any) -> "Inventory":
        """The inverse of `to_json`; ValueError, TypeError, KeyError or AttributeError if it is none."""
        return Inventory(
            {check_name(name): _read_hash(**held) for name, held in read["files"].items()},
            {
                name: StagePaths(**{kind: _read_names(each) for kind, each in paths.items()})
                for name, paths in read["stages"].items()
            },
            _read_names(read["metrics"]),
        )


def take_inventory(project: Path, lock: Mapping[str, LockedStage], metrics: list[str]) -> Inventory:
    """Hash all that the stages of dvc.lock read and write; what is not there is left out."""
    files: dict[str, FileHash] = {}
    # A stage may read a whole folder that others write into: each file is hashed once.
    for path in keep_outermost(path for stage in lock.values() for path in (*stage.deps, *stage.outs, *stage.params)):
        files |= hash_path(project, path)
    stages = {name: StagePaths([*stage.deps, *stage.params], list(stage.outs)) for name, stage in lock.items()}
    return Inventory(dict(sorted(files.items())), stages, metrics)


def compare_data(inventory: Inventory, project: Path) -> Iterator[Problem]:
    """Where a project's files differ from an inventory: changed, missing, or extra in a folder that a stage wrote."""
    roots = keep_outermost(path for stage in inventory.stages.values() for path in (*stage.deps, *stage.outs))
    for name, held in inventory.files.items():
        path = project / name
        if not path.exists():
            yield Problem(name, "missing in the data; the bundle lists it")
            continue
        size = path.stat().st_size
        other = path.is_file() and size != held.size  # not read then: it may be of any size
        found = FileHash("", "", size) if other else hash_file(project, name)
        if found != held:
            yield Problem(name, tell_difference(held, found, "the bundle says", "the data hold"))
    for root in roots:
        if (project / root).is_dir():
            for below in list_files(project, root):
                if f"{root}/{below}" not in inventory.files:
                    yield Problem(f"{root}/{below}", "extra in the data; the bundle does not list it")


def tell_difference(held: FileHash, found: FileHash, old: str, new: str) -> str:
    """How two files differ, in words."""
    if held.size != found.size:
        return f"{old} {held.size} bytes, {new} {found.size}"
    return f"{old} sha256 {held.sha256[:16]}, {new} {found.sha256[:16]}"


def is_below(name: str, roots: set[str]) -> bool:
    """Whether a path is one of the roots or lies in one."""
    while name:
        if name in roots:
            return True
        name = name.rpartition("/")[0]
    return False


def _read_hash(sha256: Any, md5: Any, size: Any) -> FileHash:
    if not re.fullmatch("[0-9a-f]{64}", expect(sha256, str, "sha256")) or expect(size, int, "size") < 0:
        raise ValueError("no hash of a file")
    return FileHash(sha256, expect(md5, str, "md5"), size)


def _read_names(read: Any) -> list[str]:
    return [check_name(name) for name in expect(read, list, "paths")]


def write_json(value: Any) -> bytes:
    """JSON for people and for git: indented, one order, one line end."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
