"""What follows a reproduction: the verdicts, the bundle, the comparison with the last accepted one."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flows.atomic_write import write_atomically
from flows.children import Children
from flows.errors import FlowError
from flows.gates_command import GATES

BUNDLES = Path("evidence")
ACCEPTED = BUNDLES / "accepted"  # the name of the last accepted bundle
COMMAND = [sys.executable, "-m", "flows.cli"]

SAME_STATE = "is there already"  # what `failure-atlas evidence` says of a state that has its bundle

PASS, FAIL, NOT_ASSESSABLE = "pass", "fail", "not assessable"


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


@dataclass(frozen=True)
class Gates:
    """Verdict -> the ids of the criteria that got it."""

    ids: dict[str, list[str]]

    @property
    def verdict(self) -> str:
        """Fail if any criterion failed; else not assessable if any is, or if there is none; else pass."""
        if self.ids[FAIL]:
            return FAIL
        return NOT_ASSESSABLE if self.ids[NOT_ASSESSABLE] or not self.ids[PASS] else PASS

    def tell(self) -> str:
        """All verdicts in one line, naming what did not pass."""
        total = sum(map(len, self.ids.values()))
        parts = [f"{len(self.ids[PASS])} of {total} criteria pass"]
        parts += [f"{word}: {', '.join(ids)}" for word, ids in self.ids.items() if word != PASS and ids]
        return "; ".join(parts)


def read_gates(path: Path = GATES) -> Gates | None:
    """Read the verdicts on the acceptance criteria; None if the project has none.

    Raises FlowError if the file is not `{criteria: [{id, verdict}]}` with known verdicts.
    """
    try:
        criteria = json.loads(path.read_text(encoding="utf-8"))["criteria"]
        ids: dict[str, list[str]] = {PASS: [], FAIL: [], NOT_ASSESSABLE: []}
        for criterion in criteria:
            verdict = criterion["verdict"]
            if verdict not in ids:
                raise FlowError(
                    f"{path}: criterion {criterion['id']}: verdict is {verdict!r}; allowed: {', '.join(ids)}; "
                    "make the file again: failure-atlas reproduce acceptance --force"
                )
            ids[verdict].append(str(criterion["id"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FlowError(
            f"{path}: cannot be read as {{criteria: [{{id, verdict}}]}} ({type(error).__name__}: {error}); make it "
            "again: failure-atlas reproduce acceptance --force"
        ) from error
    return Gates(ids)


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

    Raises FlowError with the last line of the command if it fails, or if it leaves no bundle.
    """
    lines: list[str] = []
    began = time.time()
    try:
        _run("evidence", [], children, lines, on_line)
    except FlowError:
        if not any(SAME_STATE in line for line in lines):
            raise
    named = [folder for folder in _bundles() if any(folder.name in line for line in lines)]
    made = named or [folder for folder in _bundles() if folder.stat().st_mtime >= began]
    if not made:
        raise FlowError(f"failure-atlas evidence ended well, but left no folder in {BUNDLES}/")
    return max(made, key=lambda folder: folder.stat().st_mtime)


def compare_bundles(old: Path, new: Path, children: Children, on_line: Callable[[str], None]) -> str:
    """Run `failure-atlas compare OLD NEW`; returns what it prints, in Markdown.

    Raises FlowError with the last line of the command if it fails.
    """
    lines: list[str] = []
    _run("compare", [str(old), str(new)], children, lines, on_line)
    return "\n".join(lines)


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
    return (
        [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        if folder.is_dir()
        else []
    )


def _run(
    command: str, arguments: list[str], children: Children, lines: list[str], on_line: Callable[[str], None]
) -> None:
    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    code = children.stream([*COMMAND, command, *arguments], take)
    if code:
        spoken = [line.strip() for line in lines if line.strip()]
        last = spoken[-1].removeprefix("error: ") if spoken else f"no message, exit code {code}"
        raise FlowError(f"failure-atlas {command}: {last}")
