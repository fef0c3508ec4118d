"""What stands around a reproduction: pull, verdicts, bundle, comparison with the last accepted one, history."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from flows.children import Children
from flows.dag import open_repo
from flows.errors import FlowError
from flows.project import read_lines, write_atomically

BUNDLES, HISTORY = Path("evidence"), Path("logs/reevaluate.jsonl")
ACCEPTED = BUNDLES / "accepted"  # the name of the last accepted bundle
COMMAND = [sys.executable, "-m", "flows.cli"]

SAME_STATE = "is there already"  # what `failure-atlas evidence` says of a state that has its bundle


class StepState(StrEnum):
    """How one step after the reproduction ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Step:
    """One step of a re-evaluation, as a row of its table; text: one line."""

    name: str
    state: StepState
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.state}: {self.text}"


def require_evidence() -> None:
    """Check, before any work, what a bundle needs: the key that signs it and a git commit; FlowError that names it."""
    from flows.evidence.attestation import KEY_FOLDER, PRIVATE, read_private_key
    from flows.git import read_revision

    try:
        read_private_key(KEY_FOLDER / PRIVATE)
        read_revision(Path.cwd())
    except FlowError as error:
        raise FlowError(f"{error}; or evaluate without a bundle: --no-evidence") from error


def make_bundle(children: Children, on_line: Callable[[str], None]) -> Path:
    """Run `failure-atlas evidence`; returns the bundle's folder, which may be an earlier one of the same state.

    Raises FlowError with the last line of the command if it fails, or if it names no bundle.
    """
    lines = _run_command(["evidence"], children, on_line, SAME_STATE)
    named = [folder for folder in _bundles() if any(folder.name in line for line in lines)]
    if not named:
        raise FlowError(f"failure-atlas evidence ended well, but named no folder of {BUNDLES}/")
    return max(named, key=lambda folder: folder.stat().st_mtime)


def compare_bundles(old: Path, new: Path, children: Children, on_line: Callable[[str], None]) -> str:
    """Run `failure-atlas compare OLD NEW`; returns what it prints, in Markdown.

    Raises FlowError with the last line of the command if it fails.
    """
    return "\n".join(_run_command(["compare", str(old), str(new)], children, on_line))


def read_accepted(path: Path = ACCEPTED) -> Path | None:
    """The folder of the last accepted bundle; None if none was ever accepted.

    Raises FlowError if the file names no bundle that is there: it was cut short, or the bundle was removed.
    """
    try:
        name = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not name or Path(name).name != name or not (path.parent / name).is_dir():
        known = ", ".join(sorted(folder.name for folder in _bundles(path.parent))) or "none"
        raise FlowError(
            f"{path}: names {name!r}, which is no bundle here; allowed: {known}; write the last accepted name into it, "
            "or remove it to start anew"
        )
    return path.parent / name


def write_accepted(bundle: Path, path: Path = ACCEPTED) -> None:
    """Name a bundle as the last accepted one."""
    write_atomically(path, f"{bundle.name}\n")


def _bundles(folder: Path = BUNDLES) -> list[Path]:
    return [path for path in folder.glob("[!.]*") if path.is_dir()]


def _run_command(
    command: list[str], children: Children, on_line: Callable[[str], None], harmless: str = ""
) -> list[str]:
    """All lines of one of the project's commands; FlowError with the last if it fails without a word that is harmless.

    harmless: none if it is empty.
    """
    code, lines = children.stream([*COMMAND, *command], on_line)
    if code and not (harmless and any(harmless in line for line in lines)):
        spoken = [line.strip() for line in lines if line.strip()] or [f"no message, exit code {code}"]
        raise FlowError(f"failure-atlas {command[0]}: {spoken[-1].removeprefix('error: ')}")
    return lines


def pull_data(children: Children, on_line: Callable[[str], None]) -> tuple[StepState, str]:
    """Run `dvc pull`; returns how it went. Without a configured remote it does nothing and says so.

    What the remote does not hold is left to be made, and is counted. Raises FlowError with DVC's last line if it fails.
    """
    with open_repo() as repo:
        remote, names = repo.config["core"].get("remote"), ", ".join(sorted(repo.config["remote"]))
    if not remote:
        which = f"of {names} none is the default: dvc remote default NAME" if names else "none is configured"
        return StepState.SKIPPED, f"no remote to pull from ({which})"
    code, lines = children.stream([sys.executable, "-m", "dvc", "--wait-for-lock", "pull", "--allow-missing"], on_line)
    if code:
        spoken = [line.strip() for line in lines if line.strip()] or ["no message"]
        last = ([line for line in spoken if line.startswith("ERROR")] or spoken)[-1]
        raise FlowError(f"dvc pull from remote '{remote}': {last.removeprefix('ERROR: ')}")
    lacking = sum(line.strip().startswith("md5: ") for line in lines)
    if lacking:  # DVC does not tell an object that is not there from a remote that is not there
        return StepState.DONE, f"remote '{remote}' lacks {lacking} objects, or is not reached; they are made here"
    return StepState.DONE, f"from remote '{remote}'"


def find_covering(due: datetime, parameters: Mapping[str, Any], path: Path = HISTORY) -> dict[str, Any] | None:
    """The entry of the last re-evaluation with the same parameters that began after a scheduled run was due: it has
    seen all that the scheduled run would see. None if there is none.
    """
    found = None
    for entry in read_lines(path):
        with suppress(KeyError, ValueError, TypeError):  # an entry of another form
            if entry["parameters"] == dict(parameters) and datetime.fromisoformat(entry["began"]) >= due:
                found = entry
    return found
