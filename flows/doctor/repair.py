"""What is damaged is moved aside; nothing is deleted."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from flows.doctor.finding import Finding
from flows.doctor.locks import is_dvc_at_work
from flows.errors import FlowError

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
