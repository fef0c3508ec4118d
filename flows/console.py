"""What the person at the terminal is told, by commands and by the stages of a run, and no other."""

import logging
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flows.errors import FlowError

LOG_WIDTH = 120  # columns, where there is no terminal
_HINTS = (
    *("To track the changes with git", "To enable auto staging", "git add ", "dvc config core.autostage"),
    *("Use `dvc push`", "Generating lock file", "Updating lock file", "Modifying stage", "> ", "Running stage"),
)


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


def is_hint(line: str) -> bool:
    """Whether a line is DVC's advice or bookkeeping, of no use to who watches a run."""
    return not line.strip() or line.strip().startswith(_HINTS)


def log_line(logger: "logging.Logger | logging.LoggerAdapter[Any]", stage: str, line: str) -> None:
    """Log one line of a stage: always to the run log, and to the terminal unless it is only DVC's advice."""
    logger.info(line, extra={"stage": stage, "hint": is_hint(line)})


class StageLines(logging.Handler):
    """Prints the lines logged with `log_line`, and what any part of the machinery calls an error."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record if it is meant for a person."""
        stage = getattr(record, "stage", None)
        if stage is None or getattr(record, "hint", False):
            return
        name = Text(f"{stage:<{self._width}}", style="cyan")
        self._console.print(name, Text("|", style="dim"), record.getMessage(), soft_wrap=True)


def show_stage_lines(width: int) -> None:
    """Replace Prefect's console output in this process by the stages' lines; width: of the longest stage name."""
    from prefect.logging.handlers import PrefectConsoleHandler  # takes seconds to import: not for --help

    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, PrefectConsoleHandler)]
    root.addHandler(StageLines(width))
