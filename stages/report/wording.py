"""Numbers as text, always with interval and count where there are any."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from failure_atlas.decisions.metrics import Metrics, find_group
from failure_atlas.statistics.estimates import Estimate
from stages.report.page import TEMPLATES, Table

UNKNOWN, NOT_ASSESSABLE = "not known", "not assessable"
TIED = "\u00a0"  # a space at which a line does not break, so that an interval stays whole on a phone
Row = Sequence[str]  # words, stage, key of the metric
TEXTS: Mapping[str, str] = tomllib.loads((TEMPLATES / "texts.toml").read_text(encoding="utf-8"))
ROWS: Mapping[str, Sequence[Row]] = tomllib.loads((TEMPLATES / "tables.toml").read_text(encoding="utf-8"))


def tell_number(value: float) -> str:
    """Three significant digits, whole numbers from 1,000 on; `not known` for NaN."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "beyond what was tried"
    if value == int(value) or abs(value) >= 1000:
        return f"{round(value):,}"
    return f"{value:.3f}" if 0.0995 <= abs(value) < 1 else f"{value:.3g}"


def tell_estimate(estimate: Estimate) -> str:
    """Such as `0.934 [0.929, 0.939], n = 10,000`; value and bounds with equally many decimals.

    `not assessable` in place of a value that is not known while its interval is.
    """
    numbers = [estimate.value, estimate.low, estimate.high]
    finite = [number for number in numbers if math.isfinite(number)]
    count = f", n{TIED}={TIED}{estimate.n:,}" if estimate.n is not None else ""
    if math.isnan(estimate.low) and math.isnan(estimate.high):
        return f"{tell_number(estimate.value)}{count}"
    told = [_tell_with(number, _choose_decimals(finite)) for number in numbers]
    if math.isnan(estimate.value):
        told[0] = NOT_ASSESSABLE
    return f"{told[0]} [{told[1]},{TIED}{told[2]}]{count}"


def tell_row(row: Mapping[Any, Any], column: str, n: int) -> str:
    """The estimate in a row of a table, with the columns of `name_bounds`."""
    value, low, high = (float(row[name]) for name in name_bounds(column))
    return tell_estimate(Estimate(value, low, high, n))


def name_bounds(*columns: str) -> list[str]:
    """The columns of estimates in a table: of each its value and its bounds."""
    return [f"{column}{end}" for column in columns for end in ("", "_low", "_high")]


def _choose_decimals(numbers: Sequence[float]) -> int:
    """Three significant digits of the largest; none where all are whole and one is beyond 1."""
    largest = max(map(abs, numbers), default=0.0)
    if largest > 1 and all(number == int(number) for number in numbers):
        return 0
    # A share up to 1 has three decimals, so that 1.000 and 0.995 stand beside each other.
    digits = -math.floor(math.log10(largest)) + 2 if largest > 0 else 3
    return min(max(digits, 3 if largest <= 1 else 0), 6)


def _tell_with(number: float, decimals: int) -> str:
    if math.isfinite(number):
        return f"{number:,.{decimals}f}"
    return "?" if math.isnan(number) else tell_number(number)


def tell_metric(metrics: Metrics, key: str) -> str:
    """A metric with its interval if it has one, else as a plain number; StageError if there is no such metric."""
    group, last = find_group(metrics.content, key)
    if isinstance(group.get(last), dict) or f"{last}_interval" in group:
        return tell_estimate(metrics.estimate(key))
    return tell_number(metrics.number(key))


def compare(caption: str, rows: Sequence[Row], columns: Sequence[str], find: Callable[[str, str], Metrics]) -> Table:
    """One row per metric, one column per classifier; find: stage and classifier -> Metrics."""
    return Table(
        caption,
        ["", *columns],
        [[words, *(tell_metric(find(stage, name), key) for name in columns)] for words, stage, key in rows],
    )


def list_metrics(caption: str, key: str, find: Callable[[str], Metrics]) -> Table:
    """One row per metric; key: of the rows.  find: stage -> Metrics."""
    rows = [[words, tell_metric(find(stage), metric)] for words, stage, metric in ROWS[key]]
    return Table(caption, ["", "value [95 % interval], count"], rows)
