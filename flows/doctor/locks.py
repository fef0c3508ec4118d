"""Who is at work in a project, objects of DVC's cache against their names, and what is damaged, moved aside."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.dag import tell
from flows.errors import FlowError

GIB = 2**30


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "ok"
    NOTE = "note"  # worth knowing; nothing to do
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. advice: what to do, empty if nothing.  movable: what --repair moves aside."""

    level: Level
    what: str
    advice: str = ""
    movable: tuple[Path, ...] = ()


def find_wrong(what: str, path: Path, more: str = "") -> Finding:
    """A file or folder that --repair moves aside; more: what to do after it."""
    return Finding(Level.WRONG, what, f"failure-atlas doctor --repair moves it aside{more}", (path,))


def check_locks(root: Path) -> Iterator[Finding]:
    """Locks that outlived their process, or cannot be read; locks of living processes are noted."""
    yield from _check_rwlock(root / ".dvc/tmp/rwlock")
    for path, owner in ((root / ".dvc/tmp/lock", "DVC"), (root / "logs/flow.lock", "failure-atlas")):
        if _is_held(path):
            holder = path.read_text(encoding="utf-8", errors="replace").strip() or "an unknown process"
            yield Finding(Level.NOTE, f"a run of {owner} is at work (pid {holder.removeprefix('pid ')})")
    yield Finding(Level.GOOD, "the locks of DVC and failure-atlas were looked at")


def is_at_work(root: Path) -> bool:
    """Whether a living process holds a lock of this project."""
    return _is_held(root / "logs/flow.lock") or is_dvc_at_work(root)


def is_dvc_at_work(root: Path) -> bool:
    """Whether a living process holds a lock of DVC in this project."""
    return _is_held(root / ".dvc/tmp/lock") or any(map(_is_alive, _read_holders(root / ".dvc/tmp/rwlock") or {}))


def _check_rwlock(path: Path) -> Iterator[Finding]:
    holders = _read_holders(path)
    if holders is None:
        yield find_wrong(f"{path.name}: empty, cut or of another form, which stops every command of DVC", path)
        return
    alive = [f"pid {pid}: {command}" for pid, command in holders.items() if _is_alive(pid)]
    if alive:
        yield Finding(Level.NOTE, f"{path.name}: DVC is at work ({'; '.join(alive)})")
    elif holders:
        gone = ", ".join(map(str, holders))
        yield Finding(
            Level.NOTE,
            f"{path.name}: names processes that have ended (pid {gone})",
            "DVC clears by itself what is in its way; failure-atlas doctor --repair moves it aside",
            (path,),
        )


def _read_holders(path: Path) -> dict[int, str] | None:
    """Processes by number, with their commands, that a rwlock names; None if the file is damaged."""
    if not path.is_file():
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        entries = [*content.get("write", {}).values(), *content.get("read", {}).values()]
        single = [one for entry in entries for one in (entry if isinstance(entry, list) else [entry])]
        return {int(one["pid"]): str(one["cmd"]) for one in single}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; looking takes it for an instant, in the shared mode."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


MADE_GOOD = (
    "; then: dvc commit --force puts a good output of the workspace back, dvc pull or dvc repro --force STAGE makes it "
    "anew"
)
OBJECT_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")


def check_cache(root: Path) -> Iterator[Finding]:
    """Objects of DVC's cache whose bytes do not match their names; DVC trusts them and never looks again."""
    folders, problem = _cache_folders(root)
    if problem:
        yield problem
    at_work = is_at_work(root)
    sizes, clean = list[int](), True
    for path in (each for folder in folders for each in _list_objects(folder)):
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        if OBJECT_NAME.fullmatch(path.name) is None:
            if not at_work:  # else a transfer that has not ended yet
                clean = False
                yield find_wrong(f"{shown}: no cache object, left by a transfer that was ended", path)
            continue
        sizes.append(path.stat().st_size)
        found = _hash_object(path)
        if found != path.parent.name + path.name.removesuffix(".dir"):
            clean = False
            yield find_wrong(f"{shown}: its bytes have the MD5 {found}", path, MADE_GOOD)
    if clean:
        yield Finding(Level.GOOD, f"{len(sizes):,} cache objects ({sum(sizes) / GIB:.2f} GiB) match their names")


def _cache_folders(root: Path) -> tuple[list[Path], Finding | None]:
    """The cache of DVC 3 and, beside it, that of older versions; and what keeps DVC from naming them."""
    try:
        with Repo(str(root)) as repo:
            return [Path(repo.cache.local.path), Path(repo.cache.legacy.path)], None
    except DvcException as error:
        usual = [root / ".dvc/cache/files/md5", root / ".dvc/cache"]
        return usual, Finding(Level.WRONG, f"DVC cannot open this project ({tell(error)})", "see `dvc config --list`")


def _list_objects(folder: Path) -> Iterator[Path]:
    """Files two levels down, in folders named by two hexadecimal digits; and what ended transfers left beside these."""
    yield from sorted(path for path in folder.glob(".*.tmp") if path.is_file())
    for two in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        if two.is_dir():
            yield from (path for path in sorted(two.iterdir()) if path.is_file())


def _hash_object(path: Path) -> str:
    """MD5 of the bytes: DVC's name for them, no protection against who forges them."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


QUARANTINE = Path(".dvc/quarantine")


def repair(root: Path, findings: list[Finding]) -> list[tuple[Path, Path]]:
    """Move what findings call movable into the quarantine; returns (from, to).

    The caller holds the project's run lock. Nothing is deleted: the folder of each repair is named by its time and
    keeps the paths from the project's root.
    Raises FlowError if DVC is at work, which may be writing what looks damaged, or if something cannot be moved.
    """
    if is_dvc_at_work(root):
        raise FlowError("a run is at work in this project; wait for it or end it, then try again")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    moved = []
    for path in dict.fromkeys(path for finding in findings for path in finding.movable):
        inside = path.relative_to(root) if path.is_relative_to(root) else Path(*path.parts[1:])
        target = root / QUARANTINE / stamp / inside
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # A rename, since the quarantine lies beside the cache; a copy only if the cache is on another disk.
            shutil.move(path, target)
        except OSError as error:
            raise FlowError(f"{path}: cannot be moved to {target} ({error.strerror}); move it by hand") from error
        moved.append((path, target))
    return moved
