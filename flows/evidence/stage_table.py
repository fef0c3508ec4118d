"""The stages as rows: what ran, why, how long, and whether DVC holds it for up to date."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.dag import ALWAYS_CHANGED, read_dag, tell
from flows.errors import FlowError
from flows.evidence.locked import join_command
from flows.run_log import RUN_LOG

STAGE_LOG = Path("logs/stages.jsonl")


def read_stage_table() -> list[dict[str, Any]]:
    """The stages of the project in the current folder, in the order of the DAG.

    stage, command, state (`up to date` or what has changed); from the logs, where they know: outcome and reason of the
    last run, seconds and time of the last run of the command.
    """
    order = list(read_dag().stages)
    try:
        with Repo() as repo:
            stages = {stage.addressing: stage for stage in repo.index.stages if stage.addressing in order}
            status: dict[str, list[Any]] = repo.status(order)
            commands = {name: join_command(stages[name].cmd) for name in order}
    except DvcException as error:
        raise FlowError(f"DVC cannot read this project: {tell(error)}") from error
    changes = {name: [str(entry) for entry in status.get(name, ()) if entry != ALWAYS_CHANGED] for name in order}
    runs = {entry["stage"]: entry for entry in _read_log(RUN_LOG)}
    times = read_stage_log()
    table = []
    for name in order:
        run = runs.get(name, {})
        took = times.get(tuple(shlex.split(commands[name])), {})
        table.append(
            {
                "stage": name,
                "command": commands[name],
                "state": "; ".join(changes[name]) or "up to date",
                "outcome": run.get("outcome"),
                "reason": run.get("reason"),
                "seconds": took.get("seconds"),
                "finished": took.get("finished"),
            }
        )
    return table


def read_stage_log(project: Path = Path()) -> dict[tuple[str, ...], dict[str, Any]]:
    """The last entry of each stage in the stages' own log, by the words of its command in dvc.yaml."""
    entries = [entry for entry in _read_log(project / STAGE_LOG) if isinstance(entry.get("arguments"), list)]
    return {("python", "-m", f"stages.{entry['stage']}", *map(str, entry["arguments"])): entry for entry in entries}


def _read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a log, oldest first; a line that a power cut left half is skipped."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "stage" in entry and ("outcome" in entry or "arguments" in entry):
            yield entry
