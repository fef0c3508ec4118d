"""Data from the DVC remote, if the project has one."""

import sys
from collections.abc import Callable

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.children import Children
from flows.dag import tell
from flows.errors import FlowError
from flows.reevaluate_steps import StepState


def pull_data(children: Children, on_line: Callable[[str], None]) -> tuple[StepState, str]:
    """Run `dvc pull`; returns how it went. Without a configured remote it does nothing and says so.

    What the remote does not hold is left to be made, and is counted. Raises FlowError with DVC's last line if it fails.
    """
    try:
        with Repo() as repo:
            remote = repo.config["core"].get("remote")
            names = ", ".join(sorted(repo.config["remote"]))
    except DvcException as error:
        raise FlowError(f"DVC cannot read this project: {tell(error)}") from error
    if not remote:
        which = f"of {names} none is the default: dvc remote default NAME" if names else "none is configured"
        return StepState.SKIPPED, f"no remote to pull from ({which})"
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    if children.stream([sys.executable, "-m", "dvc", "--wait-for-lock", "pull", "--allow-missing"], take):
        spoken = [line.strip() for line in lines if line.strip()]
        errors = [line for line in spoken if line.startswith("ERROR")]
        last = (errors or spoken or ["no message"])[-1].removeprefix("ERROR: ")
        raise FlowError(f"dvc pull from remote '{remote}': {last}")
    lacking = sum(line.strip().startswith("md5: ") for line in lines)
    if lacking:  # DVC does not tell an object that is not there from a remote that is not there
        return StepState.DONE, f"remote '{remote}' lacks {lacking} objects, or is not reached; they are made here"
    return StepState.DONE, f"from remote '{remote}'"
