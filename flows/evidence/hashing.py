"""Hashes of files and folders, computed from their bytes and from nothing else."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.evidence.reading import UnreadableError, check_name, stream_inside


@dataclass(frozen=True)
class FileHash:
    """One file: SHA-256 is the evidence, MD5 only ties it to dvc.lock, which knows no other."""

    sha256: str
    md5: str
    size: int  # bytes


def hash_bytes(data: bytes) -> FileHash:
    """The hashes of bytes in memory."""
    return FileHash(hashlib.sha256(data).hexdigest(), hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data))


def hash_file(project: Path, path: str) -> FileHash:
    """The hashes of a file of a project, read once; UnreadableError if it is none, or leads out of it."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    for chunk in stream_inside(project, path):
        sha256.update(chunk)
        md5.update(chunk)
        size += len(chunk)
    return FileHash(sha256.hexdigest(), md5.hexdigest(), size)


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
