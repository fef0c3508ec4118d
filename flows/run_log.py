"""How long things took: a log that DVC does not track, so that results hold no times."""

import json
from datetime import UTC, datetime
from pathlib import Path

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
    RUN_LOG.parent.mkdir(exist_ok=True)
    with RUN_LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
