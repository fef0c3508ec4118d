"""What commands tell the person at the terminal."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.errors import FlowError

LOG_WIDTH = 120  # columns, where there is no terminal


def open_console(columns: int = LOG_WIDTH, **options: Any) -> Console:
    """A console as wide as the terminal; a file or a pipe has no width of its own, and what is cut there is lost.

    options: of rich's Console.
    """
    return Console(width=None if sys.stdout.isatty() else columns, **options)


def require_project(study: bool = False) -> None:
    """FlowError unless the current folder is the root of a DVC project; study: and study/ another."""
    if study and not Path("study/.dvc").is_dir():
        raise FlowError("--study: study/ is no DVC project here; go to the root of failure-atlas and try again")
    if not Path("dvc.yaml").is_file():
        raise FlowError(f"{Path.cwd()}: no dvc.yaml here; go to the project's root and try again")


def say(line: str) -> None:
    """Tell the person at the terminal one line."""
    print(line, file=sys.stderr, flush=True)
