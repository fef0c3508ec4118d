"""How a stage of a run ended, and the log of how long it took, which DVC does not track: results hold no times."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from flows.project import append_line, read_lines

RUN_LOG = Path("logs/flows.jsonl")


class Outcome(StrEnum):
    """How one stage ended; the value is the name of its Prefect state."""

    CACHED = "Cached"  # nothing had changed
    RESTORED = "Restored"  # these inputs had been run before: outputs taken from the cache
    DONE = "Done"
    FAILED = "Failed"
    NOT_RUN = "NotRun"  # something that it needs had failed


WORDS = {
    **{outcome: outcome.value.lower() for outcome in Outcome},
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


def log_run(run: StageRun, flow_run: str) -> None:
    """Append one stage of a flow run as a line of JSON."""
    held = {key: value for key, value in asdict(run).items() if value or key == "seconds"}
    append_line(RUN_LOG, {"flow_run": flow_run, **held, "finished": datetime.now(UTC).isoformat(timespec="seconds")})


def read_seconds() -> dict[str, float]:
    """What each stage took when it last ran to its end, in seconds, as far as the log of this project knows."""
    return {run["stage"]: run["seconds"] for run in read_lines(RUN_LOG) if run.get("outcome") == Outcome.DONE}
