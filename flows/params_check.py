"""All of params.yaml is checked before any stage starts, in a process of its own: flows import no stage."""

import subprocess
import sys
from pathlib import Path

from flows.errors import FlowError

CHECKER = Path("stages/__main__.py")


def check_params() -> None:
    """Run `python -m stages`, which checks every section; FlowError with its line if it finds a fault.

    Does nothing in a project that has no such module.
    """
    if not CHECKER.is_file():
        return
    check = subprocess.run([sys.executable, "-m", "stages"], capture_output=True, text=True, check=False)
    if check.returncode:
        lines = [line for line in (check.stdout + check.stderr).splitlines() if line.strip()]
        raise FlowError(
            lines[-1].removeprefix("error: ") if lines else f"python -m stages: exit code {check.returncode}"
        )
