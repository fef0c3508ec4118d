"""The criteria as a table and as dots with intervals against their bars."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.decisions.acceptance import FAIL, NOT_ASSESSABLE, PASS, Verdict
from failure_atlas.drawing.style import MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure

COLORS = {PASS: WELL_COLOR, FAIL: MIS_COLOR, NOT_ASSESSABLE: RANDOM_COLOR}
MARKERS = {PASS: "o", FAIL: "X", NOT_ASSESSABLE: "s"}  # so that colour is not needed to tell them apart
ROW_INCHES = 0.42
REACH = 1.12  # of the axis, where the farthest bound lies at 1


def tabulate_verdicts(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per criterion."""
    entries = [verdict.as_dict() for verdict in verdicts]
    table = pd.DataFrame([entry | entry["found"] for entry in entries]).drop(columns="found")
    first = ["id", "verdict", "metric", "value", "low", "high", "n", "comparison", "bar"]
    table["n"] = table["n"].astype("Int64")
    return table[[*first, *(column for column in table if column not in first)]]


def draw_verdicts(verdicts: Sequence[Verdict]) -> Figure:
    """One row per criterion: value and interval, the bar in the middle, the side that meets it on the right.

    Each row has a scale of its own, so that shares, ratios and distances fit beside each other: 0 is the bar, 1 the
    farthest of value and bounds from it. The numbers stand beside the row.
    """
    figure, axes = new_figure(1, 1, width=10.0, height=ROW_INCHES * len(verdicts) + 1.1)
    ax = axes[0, 0]
    ax.axvspan(0, REACH, color=WELL_COLOR, alpha=0.07, linewidth=0)
    ax.axvline(0, color="black", linewidth=1)
    for row, verdict in enumerate(verdicts):
        _draw_row(ax, row, verdict)
    ax.set_xlim(-REACH, REACH)
    ax.set_ylim(len(verdicts) - 0.4, -0.6)
    ax.set_yticks(range(len(verdicts)), [f"{v.criterion.id.replace('_', ' ')}\n{v.verdict}" for v in verdicts])
    for label, verdict in zip(ax.get_yticklabels(), verdicts, strict=True):
        label.set_color(COLORS[verdict.verdict])
    ax.set_xticks([-REACH / 2, 0, REACH / 2], ["misses the bar", "bar", "meets the bar"])
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False)
    ax.set_title("Acceptance criteria: value and 95 % interval, each row on a scale of its own", loc="left")
    return figure


def scale_to_bar(verdict: Verdict) -> tuple[float, float, float]:
    """Value, low and high as signed distances from the bar, positive where it is met, the farthest at 1 or -1.

    All NaN where nothing was measured.
    """
    found, bar = verdict.found, verdict.criterion.bar
    sign = 1.0 if verdict.criterion.comparison in (">=", ">") else -1.0
    distances = sign * (np.array([found.value, found.low, found.high]) - bar)
    known = np.abs(distances[np.isfinite(distances)])
    farthest = known.max() if known.size and known.max() > 0 else 1.0
    value, low, high = (float(distance) for distance in distances / farthest)
    return (value, low, high) if sign > 0 else (value, high, low)


def _draw_row(ax: Axes, row: int, verdict: Verdict) -> None:
    value, low, high = scale_to_bar(verdict)
    color = COLORS[verdict.verdict]
    if np.isfinite([low, high]).any():
        # A bound that is not known reaches past the edge of the figure.
        ends = [low if np.isfinite(low) else -REACH, high if np.isfinite(high) else REACH]
        ax.plot(ends, [row, row], color=color, linewidth=2, solid_capstyle="butt")
        known = [end for end in (low, high) if np.isfinite(end)]
        ax.plot(known, [row] * len(known), color=color, marker="|", markersize=9, linestyle="none")
    if np.isfinite(value):
        ax.plot([value], [row], color=color, marker=MARKERS[verdict.verdict], markersize=7)
    ax.annotate(
        tell_row(verdict), (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=7, linespacing=1.3
    )


def tell_row(verdict: Verdict) -> str:
    """What was found against what is asked for, in two lines."""
    return f"{verdict.found.tell()}\nasked for {verdict.criterion.comparison} {verdict.criterion.bar:g}"
