"""How a benchmark is started: command line, and one line for a mistake."""

import sys
from collections.abc import Callable

import typer

from failure_atlas.core.errors import StageError


def run_benchmark(main: Callable[..., None]) -> None:
    """Run `main` as a command; exit code 1 and one line for a StageError."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=main.__doc__)(main)
    try:
        app()
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
