"""How a benchmark is started, and rates of several contenders measured in turns.

In turns, so that whatever else the machine does strikes all of them alike.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress

SHEET_WIDTH = 120  # columns, where the output is no terminal
BUSY = (
    "On a busy machine rates mean little and ratios more: see low - high; several threads in one process suffer most."
)
SecondsOption = Annotated[float, typer.Option(help="Time to spend on measuring; one round is always run.")]
ParamsOption = Annotated[Path, typer.Option(help="The params file, which says how large networks and samples are.")]
PARAMS = Path("params.yaml")
Name = TypeVar("Name")


def run_benchmark(main: Callable[..., None]) -> None:
    """Run `main` as a command; exit code 1 and one line for a StageError."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=main.__doc__)(main)
    try:
        app()
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def measure_in_turns(
    contenders: Mapping[Name, Callable[[], float]], seconds: float, title: str
) -> dict[Name, list[float]]:
    """Rates of each contender, one per round; every round runs all of them, forwards and backwards by turns.

    contenders: what measures one turn and returns a rate per second, by name.
    Rounds are run while another one fits into `seconds`; one at least, which takes longer on a busy machine.
    """
    rates: dict[Name, list[float]] = {name: [] for name in contenders}
    started, longest, rounds = time.monotonic(), 0.0, 0
    with Progress(title, max(round(seconds), 1), "s") as progress:
        while rounds == 0 or time.monotonic() - started + longest < seconds:
            began = time.monotonic()
            for name in list(contenders)[:: 1 if rounds % 2 == 0 else -1]:
                rates[name].append(contenders[name]())
                progress.advance(min(round(time.monotonic() - started), progress.total) - progress.done)
            rounds += 1
            longest = max(longest, time.monotonic() - began)
    return rates


def repeat_for(seconds: float, work: Callable[[], float]) -> float:
    """Do a piece of work once to warm up, then again until some time has passed; work done per second."""
    work()
    first, done, passed = time.perf_counter(), 0.0, 0.0
    while passed < seconds:
        done += work()
        passed = time.perf_counter() - first
    return done / passed


def rate_cells(rates: Sequence[float], *references: Sequence[float]) -> list[str]:
    """Median, lowest and highest rate, and the median ratio to others of the same round each, as text."""
    middle = statistics.median(rates)
    digits = 0 if middle > 100 else 2
    ratios = [statistics.median(a / b for a, b in zip(rates, other, strict=True)) for other in references]
    return [
        f"{middle:,.{digits}f}",
        f"{min(rates):,.{digits}f} - {max(rates):,.{digits}f}",
        *(f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}" for ratio in ratios),
    ]


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
