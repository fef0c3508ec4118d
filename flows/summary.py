"""Stages and metrics as tables: for the terminal and, in Markdown, for Prefect."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from flows.metrics import Metric
from flows.outcome import WORDS, Outcome, StageRun

STAGE_HEADER = ("stage", "state", "seconds")
METRIC_HEADER = ("stage", "metric", "value", "95 % interval", "n")


def stage_rows(runs: Iterable[StageRun]) -> list[tuple[str, ...]]:
    """Stage, state and seconds as text."""
    return [
        (run.stage, WORDS[run.outcome], "" if run.outcome is Outcome.NOT_RUN else f"{run.seconds:.1f}") for run in runs
    ]


def metric_rows(metrics: Iterable[Metric]) -> list[tuple[str, ...]]:
    """Stage, key, value, interval and sample count as text; the stage only where it changes."""
    rows: list[tuple[str, ...]] = []
    before = ""
    for metric in metrics:
        interval = ""
        if metric.low is not None and metric.high is not None:
            interval = f"{_number(metric.low)} to {_number(metric.high)}"
        count = f"{metric.n:,}" if metric.n is not None else ""
        rows.append(
            ("" if metric.stage == before else metric.stage, metric.key, _number(metric.value), interval, count)
        )
        before = metric.stage
    return rows


def metric_table(metrics: Sequence[Metric]) -> Table:
    """The headline metrics for the terminal."""
    table = Table(title="Metrics", title_justify="left", title_style="bold")
    for name in METRIC_HEADER:
        right = name in ("value", "95 % interval", "n")
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in metric_rows(metrics):
        if row[0] and table.row_count:
            table.add_section()
        table.add_row(*row)
    return table


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
