"""What was re-evaluated when, so that schedules that were missed together are made up for once."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.json_lines import append_line

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
    """Append an entry that is on disk when this returns."""
    append_line(path, asdict(entry))


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
