"""One stage of a run: ask DVC whether there is anything to do, do it, and check what DVC claims."""

import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.children import Children
from flows.console import is_hint
from flows.dag import ALWAYS_CHANGED, read_changes, read_entry, restore_entry, tell
from flows.errors import FlowError
from flows.outcome import Outcome, StageRun

MAX_REASON_LENGTH = 160
# DVC reads and writes dvc.lock as millions of small objects that live to its end: collecting garbage among them
# costs half a second of each stage.
RARE_GARBAGE = "import gc, sys; gc.set_threshold(1_000_000); from dvc.cli import main; sys.exit(main(sys.argv[1:]))"
DVC = [sys.executable, "-c", RARE_GARBAGE, "--wait-for-lock", "repro", "--single-item"]
RESTORED = "is cached - skipping run"
NOT_STORED = "failed to transfer"  # DVC goes on and exits with 0 after this one, as on a full disk
_FAILURE = "ERROR: failed to reproduce"
FULL = ("No space left on device", "Disk quota exceeded", "File too large")
MIB = 2**20
Elsewhere = Callable[[str, bool, Children, Callable[[str], None]], StageRun]  # stage, force, children, on_line
_TARGET = re.compile(r"-> '(.+\.tmp)'$")  # where a transfer ended that DVC says has failed


def run_stage(
    stage: str,
    *,
    force: bool,
    children: Children,
    on_line: Callable[[str], None],
    changes: Sequence[str] | None = None,
    elsewhere: Elsewhere | None = None,
) -> StageRun:
    """Bring one stage up to date with DVC; what it needs must be up to date.

    on_line: receives every line that DVC and the stage print.  force: run it even if nothing has changed.
    changes: what is known to have changed; by default DVC is asked.  elsewhere: runs it on another machine, and puts
    its results here.
    It counts as done only if DVC exits with 0, no output failed to reach the cache, and nothing differs from
    dvc.lock or the cache afterwards.
    """
    started = time.monotonic()
    reason = "forced" if force else ""

    def end(outcome: Outcome, error: str = "") -> StageRun:
        return StageRun(stage, outcome, round(time.monotonic() - started, 2), reason, error)

    try:
        changes = read_changes(stage) if changes is None else changes
        if not changes and not force:
            return end(Outcome.CACHED)
        reason = reason or "; ".join(changes)
        if elsewhere is not None:
            run = replace(elsewhere(stage, force, children, on_line), reason=reason)
            error = run.error or _find_left(stage)
            return replace(run, outcome=Outcome.FAILED, error=error) if error else run
        on_line(f"running ({shorten(reason, MAX_REASON_LENGTH, placeholder=' ...')})")
        entry = read_entry(stage)
        code, lines = children.stream([*DVC, *(["--force"] if force else []), stage], on_line)
        if children.stopped:
            return end(Outcome.FAILED, "the run was stopped")
        if lost := next((line for line in lines if NOT_STORED in line), ""):
            return end(Outcome.FAILED, _take_back(stage, entry, lines, lost.strip().removeprefix("ERROR: ")))
        error = find_error(lines, code) if code else _find_left(stage)
    except (DvcException, FlowError, OSError) as fault:
        return end(Outcome.FAILED, tell(fault))
    restored = any(RESTORED in line for line in lines)
    return end(Outcome.FAILED if error else Outcome.RESTORED if restored else Outcome.DONE, error)


def _find_left(stage: str) -> str:
    """What differs although DVC says that all went well; empty if nothing does."""
    left = "; ".join(change for change in read_changes(stage) if change != ALWAYS_CHANGED)
    return left and f"not as dvc.lock says after the run ({left}); does something else write there?"


def find_error(lines: Sequence[str], code: int) -> str:
    """The one line that says why a stage failed: the stage's own last words, else DVC's.

    lines: all that `dvc repro` printed.  code: its exit code, used if it printed nothing.
    """
    failure = next((index for index, line in enumerate(lines) if line.startswith(_FAILURE)), len(lines))
    spoken = [line.strip() for line in lines[:failure] if not is_hint(line)]
    for line in reversed(spoken):
        if line.lower().startswith("error: "):
            return line[len("error: ") :]
    dvc = lines[failure].removeprefix("ERROR: ").strip() if failure < len(lines) else ""
    if spoken and ", exited with " in dvc:
        return f"{spoken[-1]} (exit code {dvc.rsplit(' ', 1)[1]})"
    return dvc or (spoken[-1] if spoken else f"dvc ended with exit code {code} and no message")


def _take_back(stage: str, entry: str, lines: Sequence[str], lost: str) -> str:
    """Remove what failed transfers left in the cache, and restore the stage's entry of dvc.lock; why it failed.

    DVC records a stage, and may exit with 0, although its outputs are not in the cache. entry: of dvc.lock before the
    run, empty if there was none.  lines: all that DVC printed.  lost: the first that tells of a failed transfer.
    """
    with Repo(_wait_for_lock=True) as repo, repo.lock:  # transfers of this project hold the lock, too
        cache = Path(repo.cache.local.path)
        # DVC tries out what kind of link the disk takes, with empty files beside the folders.
        left = [Path(found[1]) for line in lines if (found := _TARGET.search(line.strip()))]
        left += [path for path in cache.glob(".*.tmp") if path.stat().st_size == 0]
        for path in left:
            if path.is_relative_to(cache):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        restore_entry(stage, entry)
    try:
        disk = shutil.disk_usage(cache)
        room = f"{disk.free / MIB:,.1f} of {disk.total / MIB:,.1f} MiB free now"
    except OSError as error:
        room = str(error.strerror)
    full = f"the disk of DVC's cache, {cache}, is full ({room})"
    what = full if any(word in line for line in lines for word in FULL) else f"DVC's cache, {cache}, took not all"
    return f"an output was not stored, and dvc.lock is as before: {what}; make room there and run again ({lost})"
