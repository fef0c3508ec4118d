"""Who is at work in a project, objects of DVC's cache against their names, and what is damaged, moved aside."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    movable: tuple[Path, ...] = field(default=())


def check_locks(root: Path) -> Iterator[Finding]:
    """Locks that outlived their process, or cannot be read; locks of living processes are noted."""
    folder = root / ".dvc/tmp"
    rwlock = folder / "rwlock"
    if rwlock.is_file():
        yield from _check_rwlock(rwlock)
    for path, owner in ((folder / "lock", "DVC"), (root / "logs/flow.lock", "failure-atlas")):
        if path.is_file() and _is_held(path):
            holder = path.read_text(encoding="utf-8", errors="replace").strip() or "an unknown process"
            yield Finding(Level.NOTE, f"a run of {owner} is at work (pid {holder.removeprefix('pid ')})")
    yield Finding(Level.GOOD, "the locks of DVC and failure-atlas were looked at")


def is_at_work(root: Path) -> bool:
    """Whether a living process holds a lock of this project."""
    flow_lock = root / "logs/flow.lock"
    return (flow_lock.is_file() and _is_held(flow_lock)) or is_dvc_at_work(root)


def is_dvc_at_work(root: Path) -> bool:
    """Whether a living process holds a lock of DVC in this project."""
    lock = root / ".dvc/tmp/lock"
    if lock.is_file() and _is_held(lock):
        return True
    rwlock = root / ".dvc/tmp/rwlock"
    holders = _read_holders(rwlock) if rwlock.is_file() else {}
    return any(map(_is_alive, holders or {}))


def _check_rwlock(path: Path) -> Iterator[Finding]:
    holders = _read_holders(path)
    if holders is None:
        yield Finding(
            Level.WRONG,
            f"{path.name}: empty, cut or of another form, which stops every command of DVC",
            "failure-atlas doctor --repair moves it aside",
            (path,),
        )
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
    """Processes by number, with their commands, that a rwlock names; None if it cannot be read."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        entries = [*content.get("write", {}).values(), *(each for each in content.get("read", {}).values())]
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
        return True
    return True


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; looking takes it for an instant, in the shared mode."""
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


OBJECT_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
FOLDER_NAME = re.compile(r"[0-9a-f]{2}")
READ_BYTES = 2**20


def check_cache(root: Path) -> Iterator[Finding]:
    """Objects of DVC's cache whose bytes do not match their names; DVC trusts them and never looks again."""
    folders, problem = _cache_folders(root)
    if problem:
        yield problem
    at_work = is_at_work(root)
    count, size = 0, 0
    clean = True
    for folder in folders:
        for path in _list_objects(folder):
            name = path.parent.name + path.name.removesuffix(".dir")
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            if OBJECT_NAME.fullmatch(path.name) is None:
                if at_work:
                    continue  # a transfer that has not ended yet
                clean = False
                yield Finding(
                    Level.WRONG,
                    f"{shown}: no cache object, left by a transfer that was ended",
                    "failure-atlas doctor --repair moves it aside",
                    (path,),
                )
                continue
            found = _hash_object(path)
            count, size = count + 1, size + path.stat().st_size
            if found != name:
                clean = False
                yield Finding(
                    Level.WRONG,
                    f"{shown}: its bytes have the MD5 {found}",
                    "failure-atlas doctor --repair moves it aside; then: dvc commit --force puts a good output of the "
                    "workspace back, dvc pull or dvc repro --force STAGE makes it anew",
                    (path,),
                )
    if clean:
        yield Finding(Level.GOOD, f"{count:,} cache objects ({size / GIB:.2f} GiB) match their names")


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
        if two.is_dir() and FOLDER_NAME.fullmatch(two.name):
            yield from (path for path in sorted(two.iterdir()) if path.is_file())


def _hash_object(path: Path) -> str:
    """MD5 of the bytes: DVC's name for them, no protection against who forges them."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


QUARANTINE = Path(".dvc/quarantine")


def repair(root: Path, findings: list[Finding], now: datetime | None = None) -> list[tuple[Path, Path]]:
    """Move what findings call movable into the quarantine; returns (from, to).

    The caller holds the project's run lock. Nothing is deleted: the folder of each repair is named by its time and
    keeps the paths from the project's root.
    Raises FlowError if DVC is at work, which may be writing what looks damaged, or if something cannot be moved.
    """
    if is_dvc_at_work(root):
        raise FlowError("a run is at work in this project; wait for it or end it, then try again")
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    moved = []
    for path in dict.fromkeys(path for finding in findings for path in finding.movable):
        inside = path.relative_to(root) if path.is_relative_to(root) else Path(*path.parts[1:])
        target = _unused(root / QUARANTINE / stamp / inside)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # A rename, since the quarantine lies beside the cache; a copy only if the cache is on another disk.
            shutil.move(path, target)
        except OSError as error:
            raise FlowError(f"{path}: cannot be moved to {target} ({error.strerror}); move it by hand") from error
        moved.append((path, target))
    return moved


def _unused(path: Path) -> Path:
    """The path itself, or with a number if something is there."""
    number = 0
    target = path
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{number}")
    return target
