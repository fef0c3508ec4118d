"""All of params.yaml is checked before any stage starts, in a process of its own: flows import no stage."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from failure_atlas.core.errors import escape
from flows.errors import FlowError
from flows.file_state import State, read_state

CHECKER = Path("stages/__main__.py")
PARAMS, STUDY = Path("params.yaml"), Path("study")
DATA = Path("data")


def check_params(study: bool = False) -> None:
    """Run `python -m stages`, which checks every section; FlowError with its line if it finds a fault.

    And that DVC can take the names of all files below data.  study: check the params of the study, too.

    Checks no params in a project that has no such module. What a process has found good it does not check again: the
    command line looks before the server is there, and the flow, which also runs without it, looks once more.
    """
    for place, folders, files in os.walk(os.fsencode(DATA)):
        for name in (*folders, *files):
            if not _is_utf8(name):
                path = escape(os.fsdecode(os.path.join(place, name)))  # noqa: PTH118  bytes
                raise FlowError(f"{path}: a name that is not UTF-8, and DVC takes no other; rename it")
    if CHECKER.is_file():
        _check(read_state(PARAMS))
        if study:
            _check(read_state(STUDY / PARAMS), "--params", str(STUDY / PARAMS), "--partial")


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _check(_state: State, *arguments: str) -> None:
    check = subprocess.run([sys.executable, "-m", "stages", *arguments], capture_output=True, text=True, check=False)
    if check.returncode:
        lines = [line for line in (check.stdout + check.stderr).splitlines() if line.strip()]
        raise FlowError(
            lines[-1].removeprefix("error: ") if lines else f"python -m stages: exit code {check.returncode}"
        )
