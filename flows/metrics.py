"""The metrics that dvc.yaml declares, and stages, as tables: for the terminal and, in Markdown, for Prefect."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from rich.table import Table

from flows.dag import DAG_FILE
from flows.outcome import WORDS, Outcome, StageRun

NUMBER = (int, float)


@dataclass(frozen=True)
class Metric:
    """One number of one stage, with its interval and sample count where they are stated."""

    stage: str
    key: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def read_metrics(entries: Iterable[str] = ()) -> list[Metric]:
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
            rows += _read_group(name, file.get("data") or {}, frozenset(entries), "")
    return sorted(rows, key=lambda metric: order.get(metric.stage, len(order)))


def _read_group(stage: str, group: dict[str, Any], entries: frozenset[str], prefix: str) -> Iterator[Metric]:
    for key, held in group.items():
        if isinstance(held, NUMBER) and not isinstance(held, bool):
            interval = group.get(f"{key}_interval")
            if not isinstance(interval, dict) and isinstance(held, int):
                continue
            held = {"value": held, **(interval if isinstance(interval, dict) else {})}
        if isinstance(held, dict) and isinstance(held.get("value"), NUMBER):
            yield Metric(stage, prefix + key, held["value"], held.get("low"), held.get("high"), held.get("n"))
        elif isinstance(held, dict) and key in entries and not prefix:
            yield from _read_group(stage, held, frozenset(), f"{key}.")


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
    for metric in metrics:
        known = metric.low is not None and metric.high is not None
        interval = f"{_number(metric.low)} to {_number(metric.high)}" if known else ""
        stage, before = metric.stage if metric.stage != before else "", metric.stage
        rows.append((stage, metric.key, _number(metric.value), interval, _number(metric.n)))
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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
