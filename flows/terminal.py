"""What a person at a terminal sees of a run: the lines of each stage behind its name, and no other."""

import logging
from typing import Any

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.text import Text

from flows.dvc_output import is_hint


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
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, PrefectConsoleHandler):
            root.removeHandler(handler)
    root.addHandler(StageLines(width))
