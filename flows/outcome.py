"""How a stage of a run ended."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How one stage ended; the value is the name of its Prefect state."""

    CACHED = "Cached"  # nothing had changed
    RESTORED = "Restored"  # these inputs had been run before: outputs taken from the cache
    DONE = "Done"
    FAILED = "Failed"
    NOT_RUN = "NotRun"  # something that it needs had failed


WORDS = {
    Outcome.CACHED: "cached",
    Outcome.RESTORED: "restored",
    Outcome.DONE: "done",
    Outcome.FAILED: "FAILED",
    Outcome.NOT_RUN: "not run",
}


@dataclass(frozen=True)
class StageRun:
    """One stage in one run.

    reason: why there was something to do, empty if there was nothing.  error: one line, empty unless it failed or was
    not run.
    """

    stage: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""
    error: str = ""
