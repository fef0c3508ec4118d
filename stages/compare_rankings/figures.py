"""The comparison of the rankings, and the influence of all dimensions against random directions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import ColorType

from failure_atlas.drawing.style import CLASS_COLORS, MIS_COLOR, RANDOM_COLOR, WELL_COLOR, new_figure
from failure_atlas.ranking.methods import FULL
from failure_atlas.statistics.estimates import CONFIDENCE, Z
from stages.common.artefacts.names import shorten_name
from stages.compare_rankings.tables import UNMOVED

BARS = 20
HOLLOW = "hollow: at 1/50 of AttFind's cost"
RANDOM = "random"


def draw_comparison(cells: pd.DataFrame, methods: pd.DataFrame, k: int, shift_std: float, note: str = "") -> Figure:
    """Mean probability against shift for each method, and the headline cell of all methods with intervals.

    cells: the rows of `tabulate_cells` that move k directions, and the unmoved.  methods: of `tabulate_methods`.
    note: on the gradients, where they are differences, which have no small budget.
    """
    figure, axes = new_figure(1, 3, width=12.5, height=4.4)
    names = list(dict.fromkeys(methods["method"]))
    colors = {name: RANDOM_COLOR if name == RANDOM else CLASS_COLORS[i % 10] for i, name in enumerate(names)}
    _draw_lines(axes[0, 0], cells, colors, k)
    ordered = methods.sort_values("probability", ascending=False, kind="stable")
    samples = int(methods["n"].iloc[0])
    title = f"{k} directions by {shift_std:g} std, n = {samples} held-out samples"
    _draw_dots(axes[0, 1], ordered, "probability", colors)
    axes[0, 1].set(xlabel="mean true-class softmax", title=f"{title}\n{note or HOLLOW}")
    _draw_dots(axes[0, 2], ordered, "true_failure_share", colors)
    axes[0, 2].set(xlabel="share of all samples", title="the same: classifier wrong,\njudge still sees the true class")
    axes[0, 2].set_yticklabels([])
    axes[0, 2].xaxis.set_major_locator(MaxNLocator(5))
    return figure


def draw_influence(table: pd.DataFrame, bound: float, share: float, note: str = "") -> Figure:
    """All dimensions by falling statistic with the random directions' band, and the leading ones with intervals.

    table: of `tabulate_influence`.  bound: the statistic below which that share of random directions stays.
    note: as in `draw_comparison`.
    """
    figure, axes = new_figure(1, 2, width=11, height=4)
    ordered = table.sort_values("statistic", ascending=False, kind="stable").reset_index(drop=True)
    _draw_sorted(axes[0, 0], ordered, bound, share)
    _draw_leading(axes[0, 1], ordered.head(BARS), bound)
    if note:
        axes[0, 0].set_title(f"influence of a move by one std\n{note}")
    return figure


def _draw_lines(panel: Axes, cells: pd.DataFrame, colors: dict[str, ColorType], k: int) -> None:
    unmoved = cells[cells["method"] == UNMOVED]
    for name, color in colors.items():
        own = pd.concat([unmoved, cells[(cells["method"] == name) & (cells["budget"] == FULL)]])
        if len(own) < cells["shift_std"].nunique():
            continue  # measured in the headline cell only
        style = "--" if name == RANDOM else "-"
        panel.plot(own["shift_std"], own["probability"], style, color=color, marker=".", linewidth=1.2, label=name)
        panel.fill_between(
            own["shift_std"], own["probability_low"], own["probability_high"], color=color, alpha=0.1, linewidth=0
        )
    panel.set(xlabel="shift of each direction in std", ylabel="mean true-class softmax", ylim=(0, 1))
    panel.set_title(f"first {k} directions moved together (n = {int(cells['n'].iloc[0])} each)")
    panel.legend(fontsize=7, loc="lower left")


def _draw_dots(panel: Axes, methods: pd.DataFrame, column: str, colors: dict[str, ColorType]) -> None:
    for place, row in enumerate(methods.to_dict("records")):
        color = colors[row["method"]]
        panel.plot([row[f"{column}_low"], row[f"{column}_high"]], [place, place], color=color, linewidth=1.2)
        fill = color if row["budget"] == FULL else "white"
        panel.plot(row[column], place, "o", markersize=5, markerfacecolor=fill, markeredgecolor=color)
    pairs = zip(methods["method"], methods["budget"], strict=True)
    labels = [name if budget == FULL else f"{name} ({budget})" for name, budget in pairs]
    panel.set_yticks(np.arange(len(methods)), labels, fontsize=7)


def _draw_sorted(panel: Axes, ordered: pd.DataFrame, bound: float, share: float) -> None:
    places, influential = np.arange(1, len(ordered) + 1), ordered["influential"].to_numpy(bool)
    panel.axhspan(0, bound, color=RANDOM_COLOR, alpha=0.2, linewidth=0, label=f"{share:.0%} of random directions")
    for chosen, color, label in (
        (influential, MIS_COLOR, f"influential ({influential.sum()})"),
        (~influential, WELL_COLOR, f"others ({(~influential).sum()})"),
    ):
        panel.plot(places[chosen], ordered["statistic"][chosen], ".", color=color, markersize=3, label=label)
    panel.set(xlabel="style dimensions, sorted", ylabel="|mean gradient * std| of the true-class softmax", yscale="log")
    positive = ordered["statistic"][ordered["statistic"] > 0]
    if len(positive):
        panel.set_ylim(positive.min() / 2, positive.max() * 2)
    panel.set_title("influence of a move by one std")
    panel.legend(fontsize=7, loc="lower left")


def _draw_leading(panel: Axes, leading: pd.DataFrame, bound: float) -> None:
    places = np.arange(len(leading))
    colors = np.where(leading["influential"].to_numpy(bool), MIS_COLOR, WELL_COLOR)
    half = Z * leading["standard_error"].fillna(0)
    panel.bar(places, leading["statistic"], yerr=half, color=list(colors), error_kw={"elinewidth": 1, "capsize": 2})
    panel.axhspan(0, bound, color=RANDOM_COLOR, alpha=0.2, linewidth=0, zorder=0)
    labels = [f"{row.dimension}  {row.layer}\n{shorten_name(str(row.name))}" for row in leading.itertuples()]
    panel.set_xticks(places, labels, rotation=90, fontsize=7)
    panel.set_title(f"the leading dimensions (bars: {CONFIDENCE:.0%} interval)")
