"""An output that did not reach DVC's cache: what DVC wrote of it is taken back, and the disk is named."""

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dvc.repo import Repo

from flows.lock_order import restore_entry

FULL = ("No space left on device", "Disk quota exceeded", "File too large")
MIB = 2**20
_TARGET = re.compile(r"-> '(.+\.tmp)'$")  # where a transfer ended that DVC says has failed


def take_back(stage: str, entry: str, lines: Sequence[str], lost: str) -> str:
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
