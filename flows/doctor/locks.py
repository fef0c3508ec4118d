"""Who is at work in a project, and locks that outlived their process or cannot be read."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.doctor.finding import Finding, Level


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
