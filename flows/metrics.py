"""The metrics that dvc.yaml declares, and stages, as tables: for the terminal and, in Markdown, for Prefect."""

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dvc.repo import Repo
from rich.table import Table

from flows.compare.differences import Number, read_numbers, tell_number
from flows.dag import DAG_FILE
from flows.outcome import WORDS, Outcome, StageRun


class Metric(NamedTuple):
    """One number of one stage."""

    stage: str
    key: str
    number: Number


def read_metrics(entries: Container[str] = ()) -> list[Metric]:
    """Read the headline metrics of all metrics files of the DAG that exist.

    Headline: what stands at the top of a file, as a number, or with its interval as `{value, low, high, n}`, or as a
    number with `<key>_interval` beside it. Plain counts (whole numbers without an interval) and groups are left to
    `dvc metrics show`, save groups named after one of `entries`, as `clean` in `{clean: {area: ...}}`.
    """
    with Repo() as repo:
        makers = {str(Path(out.fs_path)): stage for stage in repo.index.stages for out in stage.outs}
        order = {stage.addressing: place for place, stage in enumerate(repo.index.stages)}
        shown = repo.metrics.show()
    files = shown.get("", {}).get("data", {})
    rows: list[Metric] = []
    for path, file in files.items():
        maker = _find_maker(Path(path), makers)
        if maker is None or maker.path_in_repo == DAG_FILE:
            name = maker.addressing if maker is not None else path
            numbers = read_numbers(file.get("data") or {})
            rows += [Metric(name, key, number) for key, number in numbers.items() if _leads(key, number, entries)]
    return sorted(rows, key=lambda metric: order.get(metric.stage, len(order)))


def _leads(key: str, number: Number, entries: Container[str]) -> bool:
    group, _, name = key.partition(".")
    at_top = not name or (group in entries and "." not in name)
    return at_top and number.value is not None and (number.has_interval or isinstance(number.value, float))


def _find_maker(path: Path, makers: dict[str, Any]) -> Any:
    """The stage that writes a metrics file, alone or inside an output folder; None if none does."""
    full = path.absolute()
    return next((makers[str(place)] for place in (full, *full.parents) if str(place) in makers), None)


STAGE_HEADER = ("stage", "state", "seconds")
METRIC_HEADER = ("stage", "metric", "value", "95 % interval", "n")


def stage_rows(runs: Iterable[StageRun]) -> list[tuple[str, ...]]:
    """Stage, state and seconds as text."""
    return [
        (run.stage, WORDS[run.outcome], "" if run.outcome is Outcome.NOT_RUN else f"{run.seconds:.1f}") for run in runs
    ]


def metric_rows(metrics: Iterable[Metric]) -> list[tuple[str, ...]]:
    """Stage, key, value, interval and sample count as text; the stage only where it changes."""
    rows, before = list[tuple[str, ...]](), ""
    for stage, key, number in metrics:
        known = number.low is not None and number.high is not None
        interval = f"{tell_number(number.low)} to {tell_number(number.high)}" if known else ""
        rows.append((stage if stage != before else "", key, tell_number(number.value), interval, number.tell()[1]))
        before = stage
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
