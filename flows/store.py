"""DVC's remote as the store through which machines hand each other data: reached, waited for, or told why not."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dvc.repo import Repo

from flows.children import Children
from flows.dag import open_repo
from flows.errors import FlowError

WAITS = (2, 5, 10, 20, 30, 60, 60, 60)  # seconds between attempts: a store that is gone for four minutes is waited for
POLL_SECONDS = 0.2
# What no waiting mends; the words of S3's client and of ssh's.
REFUSALS = ("forbidden", "denied", "unauthorized", "credentials", "signature", "invalidaccesskey", "permission")


def require_store(project: Path) -> Path | None:
    """The folder that is the default remote of a DVC project, None if that is no folder; FlowError if there is none."""
    with open_repo(project) as repo:
        return _find_folder(repo, project)


def move_data(
    verb: str, targets: Sequence[str], project: Path, children: Children, on_line: Callable[[str], None]
) -> None:
    """`dvc pull` or `dvc push`, again and again while the store does not answer.

    verb: pull or push.  targets: stages, or outs as paths from the project.  on_line: is told of each wait.
    FlowError with the one line that says why if it refuses, or if it is still gone after the last wait.
    """
    folder, options = require_store(project), ["--force"] if verb == "pull" else []
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", verb, *options, *targets]
    for wait in (*WAITS, None):
        fault = f"{folder}: the folder is not there" if folder and not folder.is_dir() else ""
        if not fault:
            code, lines = children.stream(command, lambda _: None, folder=project)
            if not code:
                return
            fault = find_fault(lines, code)
        if wait is None or children.stopped or any(word in fault.lower() for word in REFUSALS):
            raise FlowError(f"dvc {verb}: the store: {fault}; try in {project.resolve()}: dvc {verb} {targets[0]}")
        on_line(f"the store does not answer ({fault}); dvc {verb} again in {wait} s")
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and not children.stopped:
            time.sleep(POLL_SECONDS)


def find_fault(lines: Sequence[str], code: int) -> str:
    """The first error that DVC told, which is the cause; those after it count files."""
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or [line for line in lines if line.strip()] or [f"exit code {code}"])[0].strip()


def _find_folder(repo: Repo, project: Path) -> Path | None:
    if not repo.config["core"].get("remote"):
        raise FlowError(
            f"{project.resolve()}: no DVC remote is the default, and machines share data through it; "
            "dvc remote add --default store URL, and commit .dvc/config"
        )
    remote = repo.cloud.get_remote()
    return Path(remote.path) if remote.fs.protocol == "local" else None
