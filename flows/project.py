"""A project on disk: one run at a time, files that are whole, and params that are checked before anything runs."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from failure_atlas.core.files import replacing
from failure_atlas.core.text import escape
from flows.errors import FlowError

LOCK = Path("logs/flow.lock")
CHECKER = Path("stages/__main__.py")
PARAMS, STUDY, DATA = Path("params.yaml"), Path("study"), Path("data")
# A third of a short stage is start-up of Python and DVC's bookkeeping, which use one core: the other works meanwhile.
AT_ONCE = 2  # stages
State = tuple[Path, tuple[bytes, ...]]
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


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry to a log of one JSON object a line; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")  # a power cut took the end of the line before; this one must not be lost with it
        file.write(json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of such a log, oldest first; lines that were cut short are passed over."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that, whatever happens, it is either as before or complete, on disk when this returns."""
    with replacing(path) as half, half.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_state(*files: Path) -> State:
    """The current folder and the bytes of files in it; of one that is not there, none."""
    return Path.cwd(), tuple(file.read_bytes() if file.is_file() else b"" for file in files)


def check_params(study: bool = False) -> None:
    """Run `python -m stages`, which checks every section; FlowError with its line if it finds a fault.

    And that DVC can take the names of all files below data.  study: check the params of the study, too.

    Checks no params in a project that has no such module. What a process has found good it does not check again: the
    command line looks before the server is there, and the flow, which also runs without it, looks once more.
    """
    for place, folders, files in os.walk(DATA):
        for name in (*folders, *files):
            try:
                name.encode()
            except UnicodeEncodeError as error:
                told = f"{escape(Path(place, name))}: a name that is not UTF-8, and DVC takes no other; rename it"
                raise FlowError(told) from error
    if CHECKER.is_file():
        with ThreadPoolExecutor() as threads:  # each check waits for a process of its own
            checks = [threads.submit(_check, read_state(PARAMS))]
            if study:
                partial = ("--params", str(STUDY / PARAMS), "--partial")
                checks.append(threads.submit(_check, read_state(STUDY / PARAMS), *partial))
        for check in checks:
            check.result()


@cache
def _check(_state: State, *arguments: str) -> None:
    check = subprocess.run([sys.executable, "-m", "stages", *arguments], capture_output=True, text=True, check=False)
    if check.returncode:
        lines = [line for line in (check.stdout + check.stderr).splitlines() if line.strip()]
        raise FlowError(
            lines[-1].removeprefix("error: ") if lines else f"python -m stages: exit code {check.returncode}"
        )
