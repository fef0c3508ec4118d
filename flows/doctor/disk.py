"""Room on the disk for a run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from flows.doctor.finding import Finding, Level

GIB = 2**30
# A default run writes 0.3 GiB into data and as much into the cache; a trained generator twice that.
FREE_BYTES = 2 * GIB


def check_disk(root: Path, needed_bytes: int) -> Iterator[Finding]:
    """Too little room for a run: with a full disk DVC may call a stage done whose output was never kept."""
    free = shutil.disk_usage(root).free
    if free < needed_bytes:
        yield Finding(
            Level.WRONG,
            f"{free / GIB:.1f} GiB free, a run may need {needed_bytes / GIB:.1f} GiB",
            "free some room, for example with: dvc gc --workspace --all-commits",
        )
    else:
        yield Finding(Level.GOOD, f"{free / GIB:.1f} GiB of disk free")
