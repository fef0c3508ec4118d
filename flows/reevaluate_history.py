"""What was re-evaluated when, so that schedules that were missed together are made up for once."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

HISTORY = Path("logs/reevaluate.jsonl")


@dataclass(frozen=True)
class Entry:
    """One re-evaluation that came to an end.

    flow_run: its name in Prefect.  began, ended: ISO 8601 with offset.  state: the name of its Prefect state.
    parameters: those of the flow.  message: one line.  bundle: name of the bundle that it made, else empty.
    """

    flow_run: str
    began: str
    ended: str
    state: str
    parameters: dict[str, Any]
    message: str
    bundle: str = ""


def append_entry(entry: Entry, path: Path = HISTORY) -> None:
    """Append a line of JSON that is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if _is_cut(file):
            file.write(b"\n")  # a power cut took the end of the line before; this one must not be lost with it
        file.write(json.dumps(asdict(entry)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_entries(path: Path = HISTORY) -> list[Entry]:
    """Read all entries, oldest first; lines that were cut short are passed over."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = Entry(**json.loads(line))
            datetime.fromisoformat(entry.began)
            entries.append(entry)
        except (ValueError, TypeError):
            continue
    return entries


def find_covering(due: datetime, parameters: Mapping[str, Any], path: Path = HISTORY) -> Entry | None:
    """The re-evaluation with the same parameters that began after a scheduled run was due: it has seen all that the
    scheduled run would see. None if there is none.
    """
    for entry in reversed(read_entries(path)):
        if entry.parameters == dict(parameters) and datetime.fromisoformat(entry.began) >= due:
            return entry
    return None


def _is_cut(file: Any) -> bool:
    """Whether a file opened at its end lacks its last newline."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) != b"\n")
