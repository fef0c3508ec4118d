"""The stages as rows: what ran, why, how long, and whether DVC holds it for up to date."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.dag import ALWAYS_CHANGED, read_dag, tell
from flows.errors import FlowError
from flows.run_log import RUN_LOG

STAGE_LOG = Path("logs/stages.jsonl")


@dataclass(frozen=True)
class Outs:
    """Outputs of the DAG by their paths in the project.

    plain: those that DVC does not cache, so that git holds them.  metrics: the metrics files among all.
    """

    plain: list[str]
    metrics: list[str]


def read_stage_table() -> tuple[list[dict[str, Any]], Outs]:
    """The stages of the project in the current folder, in the order of the DAG, and its outputs.

    stage, command, state (`up to date` or what has changed); from the logs, where they know: outcome and reason of the
    last run, seconds and time of the last run of the command.
    """
    order = list(read_dag().stages)
    try:
        with Repo() as repo:
            stages = {stage.addressing: stage for stage in repo.index.stages if stage.addressing in order}
            status: dict[str, list[Any]] = repo.status(order)
            root = Path(repo.root_dir)
            outs = [out for name in order for out in stages[name].outs]
            found = Outs(
                sorted(_name(out, root) for out in outs if not out.use_cache),
                sorted(_name(out, root) for out in outs if out.metric),
            )
            commands = {name: str(stages[name].cmd) for name in order}
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
    return table, found


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


def _name(out: Any, root: Path) -> str:
    return Path(out.fs_path).relative_to(root).as_posix()
