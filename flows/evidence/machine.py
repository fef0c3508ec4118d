"""How the stages of a run came out, and on what: the machine, its environment, and what of that differs elsewhere.

No host, user or folder names: they say nothing about a result.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from failure_atlas.core.computing import changes_bytes
from flows.dag import ALWAYS_CHANGED, open_repo, read_dag
from flows.evidence.pipeline import join_command
from flows.outcome import RUN_LOG
from flows.project import read_lines

STAGE_LOG = Path("logs/stages.jsonl")
GPU_SECONDS = 20
# Which kernels a library takes: on another processor it might not even run.
KERNELS = ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "NVPL_BLAS_DEBUG_CPU_TYPE")
DEVICES = ("CUDA_VISIBLE_DEVICES", "FAILURE_ATLAS_DEVICE")
COMPUTING = ("variables", "cores", "libraries", "torch")
SEEN = (("os", "system"), ("os", "distribution"), ("cpu", "machine"), ("cpu", "model"))


def read_stage_table() -> list[dict[str, Any]]:
    """The stages of the project in the current folder, in the order of the DAG.

    stage, command, state (`up to date` or what has changed); from the logs, where they know: outcome and reason of the
    last run, seconds and time of the last run of the command.
    """
    order = list(read_dag().stages)
    with open_repo() as repo:
        stages = {stage.addressing: stage for stage in repo.index.stages if stage.addressing in order}
        status: dict[str, list[Any]] = repo.status(order)
        commands = {name: join_command(stages[name].cmd) for name in order}
    changes = {name: [str(entry) for entry in status.get(name, ()) if entry != ALWAYS_CHANGED] for name in order}
    runs = {entry["stage"]: entry for entry in read_lines(RUN_LOG) if "stage" in entry}
    times = read_stage_log()
    return [
        {"stage": name, "command": commands[name], "state": "; ".join(changes[name]) or "up to date"}
        | {key: runs.get(name, {}).get(key) for key in ("outcome", "reason")}
        | {key: times.get(tuple(shlex.split(commands[name])), {}).get(key) for key in ("seconds", "finished")}
        for name in order
    ]


def read_stage_log(project: Path = Path()) -> dict[tuple[str, ...], dict[str, Any]]:
    """The last entry of each stage in the stages' own log, by the words of its command in dvc.yaml."""
    log = read_lines(project / STAGE_LOG)
    entries = [entry for entry in log if "stage" in entry and isinstance(entry.get("arguments"), list)]
    return {("python", "-m", f"stages.{entry['stage']}", *map(str, entry["arguments"])): entry for entry in entries}


def describe_machine() -> dict[str, Any]:
    """What can be seen of this machine and environment at any time.

    packages: by name, the version, and the SHA-256 of the RECORD that its wheel came with, which lists a hash for each
    of its files; null where the installation has none.
    """
    return {
        "os": {"system": platform.system(), "release": platform.release(), "distribution": _distribution()},
        "cpu": {"machine": platform.machine(), "model": _cpu_model(), "cores": os.cpu_count()},
        "gpus": _gpus(),
        "python": {"implementation": platform.python_implementation(), "version": platform.python_version()},
        "packages": _packages(),
    }


def describe_runs(commands: Mapping[str, str], project: Path = Path()) -> dict[str, Any]:
    """How the stages of a project computed when they last ran, as their own log has it; commands: by stage.

    runs: stages that computed alike, most first, each with what `failure_atlas.core.computing` describes.  unknown:
    stages that the log does not know, as where their results came out of a cache.
    """
    log = read_stage_log(project)
    runs: list[dict[str, Any]] = []
    unknown = []
    for stage, command in commands.items():
        computing = log.get(tuple(shlex.split(command)), {}).get("computing")
        if not isinstance(computing, dict):
            unknown.append(stage)
            continue
        held = {key: computing.get(key) for key in COMPUTING}
        alike = next((run for run in runs if run.items() >= held.items()), None)
        if alike is None:
            runs.append(alike := {"stages": [], **held})
        alike["stages"].append(stage)
    return {"runs": sorted(runs, key=lambda run: -len(run["stages"])), "unknown": unknown}


def compare_machines(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What makes two machines of another kind, one line each; empty if the same bytes are to be expected.

    Only what both sides state counts. The release of the kernel and the number of cores do not: how many are used is
    the stages' affair (`compare_runs`).
    """
    then, now = (
        {f"{part}.{key}": side[part][key] for part, key in SEEN}
        | {key: side[key] for key in ("gpus", "python")}
        | {f"package {name}": held["version"] for name, held in sorted(side["packages"].items())}
        for side in (old, new)
    )
    return [f"{name}: {then[name]} then, {now[name]} now" for name in then if name in now and then[name] != now[name]]


def compare_runs(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs in how stages computed, one line a setting; stages that one side does not know do not count."""
    found: dict[str, list[str]] = {}
    then, now = ({stage: run for run in side["runs"] for stage in run["stages"]} for side in (old, new))
    for stage in then.keys() & now.keys():
        for key in COMPUTING:
            held, here = _kernels(then[stage][key]), _kernels(now[stage][key])
            if held != here:
                found.setdefault(f"{key}: {held} then, {here} now", []).append(stage)
    return sorted(
        f"{line} ({min(stages)}{f' and {len(stages) - 1} more' * (len(stages) > 1)})" for line, stages in found.items()
    )


def environment_for(
    recorded: Mapping[str, Any], here: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, str], int]:
    """The environment in which a recorded run is to be run again, and the number of cores it may use (0: all).

    What changes bytes is as it was for most of the stages, and not there if it was not there then. Nothing else is
    taken from a record. Which GPU is used is this machine's affair; kernels are taken over by the same processor alone.
    """
    runs = recorded["computing"]["runs"]
    if not runs:
        return dict(environment), 0
    same = compare_machines(recorded, here) == []
    kept = {name: text for name, text in environment.items() if not changes_bytes(name) or name in DEVICES}
    for name, text in runs[0]["variables"].items():
        if not (isinstance(text, str) and changes_bytes(name, text)):
            raise ValueError(f"computing.variables: {name!r:.80}: no variable that changes how libraries compute")
        if (same or name not in KERNELS) and (name not in DEVICES or text == "cpu"):
            kept[name] = text
    return kept, int(runs[0]["cores"])


def _kernels(value: Any) -> Any:
    """Libraries as text, and all else as it is."""
    if not isinstance(value, list):
        return value
    return "; ".join(" ".join(f"{part}" for part in library.values() if part is not None) for library in value)


def _packages() -> dict[str, dict[str, str | None]]:
    found = {}
    for each in distributions():
        record = each.read_text("RECORD")
        digest = hashlib.sha256(record.encode()).hexdigest() if record else None
        found[each.name] = {"version": each.version, "record_sha256": digest}
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _distribution() -> str:
    try:
        return str(platform.freedesktop_os_release().get("PRETTY_NAME", ""))
    except OSError:
        return platform.version()  # not Linux


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _gpus() -> list[str]:
    """Name and driver of each NVIDIA GPU; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GPU_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.splitlines() if asked.returncode == 0 else []
