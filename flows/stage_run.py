"""One stage of a run: ask DVC whether there is anything to do, do it, and check what DVC claims."""

import sys
import time
from collections.abc import Callable, Sequence
from textwrap import shorten

from dvc.exceptions import DvcException

from flows.children import Children
from flows.dag import ALWAYS_CHANGED, read_changes, tell
from flows.dvc_output import find_error, find_lost_output, was_restored
from flows.full_disk import take_back
from flows.lock_order import read_entry
from flows.outcome import Outcome, StageRun

MAX_REASON_LENGTH = 160
# DVC reads and writes dvc.lock as millions of small objects that live to its end: collecting garbage among them
# costs half a second of each stage.
RARE_GARBAGE = "import gc, sys; gc.set_threshold(1_000_000); from dvc.cli import main; sys.exit(main(sys.argv[1:]))"
DVC = [sys.executable, "-c", RARE_GARBAGE, "--wait-for-lock", "repro", "--single-item"]


def run_stage(
    stage: str,
    *,
    force: bool,
    children: Children,
    on_line: Callable[[str], None],
    changes: Sequence[str] | None = None,
) -> StageRun:
    """Bring one stage up to date with DVC; what it needs must be up to date.

    on_line: receives every line that DVC and the stage print.  force: run it even if nothing has changed.
    changes: what is known to have changed; by default DVC is asked.
    It counts as done only if DVC exits with 0, no output failed to reach the cache, and nothing differs from
    dvc.lock or the cache afterwards.
    """
    started = time.monotonic()
    reason = "forced" if force else ""
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    def end(outcome: Outcome, error: str = "") -> StageRun:
        return StageRun(stage, outcome, round(time.monotonic() - started, 2), reason, error)

    try:
        changes = read_changes(stage) if changes is None else changes
        if not changes and not force:
            return end(Outcome.CACHED)
        reason = reason or "; ".join(changes)
        on_line(f"running ({shorten(reason, MAX_REASON_LENGTH, placeholder=' ...')})")
        entry = read_entry(stage)
        code = children.stream([*DVC, *(["--force"] if force else []), stage], take)
        if children.stopped:
            return end(Outcome.FAILED, "the run was stopped")
        if lost := find_lost_output(lines):
            return end(Outcome.FAILED, take_back(stage, entry, lines, lost))
        error = find_error(lines, code) if code else _find_left(stage)
    except (DvcException, OSError) as fault:
        return end(Outcome.FAILED, tell(fault))
    if error:
        return end(Outcome.FAILED, error)
    return end(Outcome.RESTORED if was_restored(lines) else Outcome.DONE)


def _find_left(stage: str) -> str:
    """What differs although DVC says that all went well; empty if nothing does."""
    left = "; ".join(change for change in read_changes(stage) if change != ALWAYS_CHANGED)
    return left and f"not as dvc.lock says after the run ({left}); does something else write there?"
