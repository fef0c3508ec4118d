"""Entries of dvc.lock as DVC wrote them: their order, and one as it was before."""

import re
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from flows.atomic_write import write_atomically

LOCK_FILE = Path("dvc.lock")
_ENTRY = re.compile(r"^  (\S+):$", re.MULTILINE)  # as DVC writes it; what a stage holds is indented further


def read_order() -> list[str]:
    """The stages that dvc.lock has entries of, in its order; none if there is no such file."""
    return list(_split()[1])


def restore_order(before: Sequence[str], stages: Sequence[str]) -> None:
    """Put what a run has added to dvc.lock into the order of the DAG, as one stage after the other would have.

    before: `read_order` before the run; those entries stay where they are.  stages: of the DAG, in its order.
    Entries are moved as they are, byte by byte.
    """
    places = {stage: place for place, stage in enumerate(dict.fromkeys([*before, *stages]))}

    def find_place(stage: str) -> int:
        return places.get(stage, len(places))

    found = read_order()
    if found == sorted(found, key=find_place):
        return
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        head, parts = _split()
        write_atomically(LOCK_FILE, head + "".join(parts[name] for name in sorted(parts, key=find_place)))


def read_entry(stage: str) -> str:
    """The lines of one stage; empty if there are none."""
    return _split()[1].get(stage, "")


def restore_entry(stage: str, entry: str) -> None:
    """Put back the lines that one stage had, none if `entry` is empty; the caller holds DVC's lock."""
    head, parts = _split()
    if parts.get(stage, "") == entry:
        return
    parts[stage] = entry
    if any(parts.values()):
        write_atomically(LOCK_FILE, head + "".join(parts.values()))
    else:
        LOCK_FILE.unlink(missing_ok=True)  # it was made by this run


def _split() -> tuple[str, dict[str, str]]:
    """What stands above the entries, and each as it is, byte by byte."""
    text = LOCK_FILE.read_text(encoding="utf-8") if LOCK_FILE.is_file() else ""
    head, *parts = re.split(r"(?m)^(?=  \S+:$)", text)
    return head, {_ENTRY.findall(part)[0]: part for part in parts}
