"""What a killed process left half written."""

import os
from collections.abc import Iterator
from pathlib import Path

from flows.doctor.finding import Finding, Level
from flows.doctor.locks import is_at_work

PARTIAL = "*.partial"
# A folder of another tool, or so large that nothing of ours can be in it.
NOT_OURS = {".git", ".venv", "venv", "node_modules", ".prefect", ".dvc-site-cache", "__pycache__"}


def check_partial_files(root: Path) -> Iterator[Finding]:
    """What a killed process left half written."""
    if is_at_work(root):
        yield Finding(Level.NOTE, "partial files were not looked for: a run at work may be writing them")
        return
    found = sorted(_find_partial(root))
    for path in found:
        yield Finding(
            Level.WRONG,
            f"{path.relative_to(root)}: half written, by a process that was ended",
            "failure-atlas doctor --repair moves it aside",
            (path,),
        )
    if not found:
        yield Finding(Level.GOOD, "no partial files")


def _find_partial(root: Path) -> Iterator[Path]:
    """Partial files and folders; what is in a partial folder is part of it."""
    for place, folders, files in os.walk(root):
        here = Path(place)
        if here == root / ".dvc":
            folders.clear()
            continue
        matching = [name for name in [*folders, *files] if name.endswith(PARTIAL.removeprefix("*"))]
        yield from (here / name for name in matching)
        folders[:] = [name for name in folders if name not in NOT_OURS and name not in matching]
