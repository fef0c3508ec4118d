"""Rates of several contenders measured in turns, so that whatever else the machine does strikes all of them alike."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from stages.common.progress import Progress

FEWEST_ROUNDS = 2
SHEET_WIDTH = 120  # columns, where the output is no terminal


@dataclass(frozen=True)
class Contender:
    """One thing to measure.

    run: does a piece of work and returns its size.  warm: does a little of it, so that threads and caches are ready.
    """

    name: str
    run: Callable[[], float]
    warm: Callable[[], object]


def measure_in_turns(contenders: Sequence[Contender], seconds: float, title: str) -> dict[str, list[float]]:
    """Rates of each contender, one per round; every round runs all of them, forwards and backwards by turns.

    Rounds are run while another one fits into `seconds`, two at least.
    """
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    started, longest, rounds = time.monotonic(), 0.0, 0
    with Progress(title, max(int(seconds), 1), "s") as progress:
        while rounds < FEWEST_ROUNDS or time.monotonic() - started + longest < seconds:
            began = time.monotonic()
            for contender in contenders if rounds % 2 == 0 else reversed(contenders):
                contender.warm()
                first = time.perf_counter()
                work = contender.run()
                rates[contender.name].append(work / (time.perf_counter() - first))
                progress.advance(min(int(time.monotonic() - started), progress.total) - progress.done)
            rounds += 1
            longest = max(longest, time.monotonic() - began)
    return rates


def repeat_for(seconds: float, work: Callable[[], int]) -> float:
    """Repeat a piece of work until some time has passed; the work done in all."""
    first, done = time.perf_counter(), 0
    while time.perf_counter() - first < seconds:
        done += work()
    return done


def median_ratio(rates: Sequence[float], reference: Sequence[float]) -> float:
    """Median over the rounds of one rate over another of the same round."""
    return statistics.median(one / other for one, other in zip(rates, reference, strict=True))


def spread(rates: Sequence[float], digits: int = 0) -> str:
    """Lowest and highest rate, as text."""
    return f"{min(rates):,.{digits}f} - {max(rates):,.{digits}f}"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Print a table, its first column to the left and the others to the right, and lines below it."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else SHEET_WIDTH, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note)
