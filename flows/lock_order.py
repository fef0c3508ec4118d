"""The order of dvc.lock, which stages that end side by side would leave to chance."""

import re
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from flows.atomic_write import write_atomically

LOCK_FILE = Path("dvc.lock")
_ENTRY = re.compile(r"^  (\S+):$", re.MULTILINE)  # as DVC writes it; what a stage holds is indented further


def read_order(file: Path = LOCK_FILE) -> list[str]:
    """The stages that a dvc.lock has entries of, in its order; none if there is no such file."""
    return _ENTRY.findall(file.read_text(encoding="utf-8")) if file.is_file() else []


def restore_order(before: Sequence[str], stages: Sequence[str], file: Path = LOCK_FILE) -> None:
    """Put what a run has added to a dvc.lock into the order of the DAG, as one stage after the other would have.

    before: `read_order` before the run; those entries stay where they are.  stages: of the DAG, in its order.
    Entries are moved as they are, byte by byte.
    """
    places = {stage: place for place, stage in enumerate(dict.fromkeys([*before, *stages]))}

    def find_place(stage: str) -> int:
        return places.get(stage, len(places))

    found = read_order(file)
    if found == sorted(found, key=find_place):
        return
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        head, *parts = re.split(r"(?m)^(?=  \S+:$)", file.read_text(encoding="utf-8"))
        parts.sort(key=lambda part: find_place(_ENTRY.findall(part)[0]))
        write_atomically(file, head + "".join(parts))
