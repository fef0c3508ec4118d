"""One run at a time in a project: the lock that scheduled and manual runs share."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flows.errors import FlowError

LOCK = Path("logs/flow.lock")
_held: set[Path] = set()


@contextmanager
def hold_lock(path: Path = LOCK) -> Iterator[None]:
    """Hold the project's run lock; FlowError naming the holder if another process has it.

    The operating system releases the lock when its holder ends, however it ends, so it is never stale. Within one
    process it may be taken again.
    """
    path = path.resolve()
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "its process number is not written yet"
            raise FlowError(f"another run is at work in this project ({holder}); wait for it or end it") from error
        file.truncate(0)
        file.write(f"pid {os.getpid()}, since {datetime.now(UTC).isoformat(timespec='seconds')}\n")
        file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            file.truncate(0)
