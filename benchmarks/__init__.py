"""Measurements that docs quote, run by `make bench`; apart from the tests, because a busy machine would fail them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from failure_atlas.core.errors import StageError

SHEET_WIDTH = 120  # columns, where the output is no terminal
ParamsOption = Annotated[Path, typer.Option(help="The params file, which says how large networks and samples are.")]
PARAMS = Path("params.yaml")


def run_benchmark(main: Callable[..., None]) -> None:
    """Run `main` as a command; exit code 1 and one line for a StageError."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=main.__doc__)(main)
    try:
        app()
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Print a table, its first column to the left and the others to the right, and lines below it."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else SHEET_WIDTH, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note)
