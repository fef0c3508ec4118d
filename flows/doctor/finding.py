"""One thing that was looked at, with a line of advice if something is wrong."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Level(StrEnum):
    """How bad a finding is."""

    GOOD = "ok"
    NOTE = "note"  # worth knowing; nothing to do
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. advice: what to do, empty if nothing.  movable: what --repair moves aside."""

    level: Level
    what: str
    advice: str = ""
    movable: tuple[Path, ...] = field(default=())
