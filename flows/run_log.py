"""How long things took: a log that DVC does not track, so that results hold no times."""

from datetime import UTC, datetime
from pathlib import Path

from flows.json_lines import append_line
from flows.outcome import StageRun

RUN_LOG = Path("logs/flows.jsonl")


def log_run(run: StageRun, flow_run: str) -> None:
    """Append one stage of a flow run as a line of JSON."""
    entry = {
        "flow_run": flow_run,
        "stage": run.stage,
        "outcome": run.outcome.value,
        "seconds": run.seconds,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    entry |= {key: text for key, text in (("reason", run.reason), ("error", run.error)) if text}
    append_line(RUN_LOG, entry)
