"""Every file that a stage reads or writes, with hashes computed from its bytes and from nothing else."""

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.evidence.reading import Problem, UnreadableError, check_name, expect, stream_inside


@dataclass(frozen=True)
class FileHash:
    """One file: SHA-256 is the evidence, MD5 only ties it to dvc.lock, which knows no other."""

    sha256: str
    md5: str
    size: int  # bytes


def hash_chunks(chunks: Iterable[bytes]) -> FileHash:
    """The hashes of bytes that come in parts."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    for chunk in chunks:
        sha256.update(chunk)
        md5.update(chunk)
        size += len(chunk)
    return FileHash(sha256.hexdigest(), md5.hexdigest(), size)


def hash_bytes(data: bytes) -> FileHash:
    """The hashes of bytes in memory."""
    return hash_chunks([data])


def hash_file(project: Path, path: str) -> FileHash:
    """The hashes of a file of a project, read once; UnreadableError if it is none, or leads out of it."""
    return hash_chunks(stream_inside(project, path))


def list_files(project: Path, path: str) -> list[str]:
    """The files below a folder of a project that DVC takes for its content: sorted, as paths relative to the folder.

    Hidden files belong to it, `.gitignore` among them; what .dvcignore names, and what is git's or DVC's own, does not.
    """
    from dvc.fs import localfs  # DVC takes a second to import: not for a bundle by itself
    from dvc.ignore import DvcIgnoreFilter

    project = project.resolve()
    root = project / path
    if not root.resolve().is_relative_to(project):
        raise UnreadableError(path, "leads out of the project")
    found = DvcIgnoreFilter(localfs, str(project)).find(localfs, str(root))
    return sorted(Path(each).relative_to(root).as_posix() for each in found)


def hash_path(project: Path, path: str) -> dict[str, FileHash]:
    """The hashes of a file, or of all files below a folder, by their paths in the project; empty if it is not there."""
    if not (project / check_name(path)).is_dir():
        return {path: hash_file(project, path)} if (project / path).exists() else {}
    return {f"{path}/{name}": hash_file(project, f"{path}/{name}") for name in list_files(project, path)}


def keep_outermost(paths: Iterable[str]) -> list[str]:
    """The given paths without those that lie in another of them, sorted."""
    known = set(paths)
    return sorted(path for path in known if not any(parent.as_posix() in known for parent in Path(path).parents))


def select_below(files: Mapping[str, FileHash], path: str, names: Sequence[str]) -> dict[str, FileHash]:
    """The entries that a path stands for: itself if it is a file, else all below it.  names: of all files, sorted."""
    if path in files:
        return {path: files[path]}
    start, end = (bisect_left(names, f"{path}{sign}") for sign in ("/", "0"))  # 0 follows on /
    return {name: files[name] for name in names[start:end]}


def dvc_md5(files: Mapping[str, FileHash], path: str) -> str:
    """What DVC 3 writes in dvc.lock for a path: a file's MD5, or the MD5 of its listing of a folder and `.dir`.

    files: the hashes of the path, as from `select_below`.
    The listing is JSON: `[{"md5": ..., "relpath": ...}, ...]`, sorted by path (dvc_data.hashfile.tree).
    """
    if path in files:
        return files[path].md5
    listing = [{"md5": held.md5, "relpath": name.removeprefix(f"{path}/")} for name, held in files.items()]
    text = json.dumps(sorted(listing, key=lambda entry: entry["relpath"]), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def tree_sha256(files: Mapping[str, FileHash]) -> str:
    """One SHA-256 for several files: of the lines that `sha256sum` prints for them, sorted by path."""
    lines = "".join(f"{held.sha256}  {name}\n" for name, held in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


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

    @staticmethod
    def from_json(read: Any) -> "Inventory":
        """The inverse of `asdict`; ValueError, TypeError, KeyError or AttributeError if it is none."""
        return Inventory(
            {check_name(name): _read_hash(**held) for name, held in read["files"].items()},
            {
                name: StagePaths(**{kind: _read_names(each) for kind, each in paths.items()})
                for name, paths in read["stages"].items()
            },
            _read_names(read["metrics"]),
        )


@dataclass(frozen=True)
class LockedStage:
    """One stage of dvc.lock.

    deps, outs: path -> MD5, that of a folder ends with `.dir`.  params: file -> key -> value.
    """

    command: str
    deps: dict[str, str]
    outs: dict[str, str]
    params: dict[str, dict[str, Any]]


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
