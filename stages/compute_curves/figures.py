"""Figures 6a (classifiers) and 6b (classes and all), the same against shift and projection, and paired differences."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.typing import ColorType, LineStyleType

from failure_atlas.curves.distance import CENTRES
from failure_atlas.curves.paired import Difference
from failure_atlas.curves.shift import ALL
from failure_atlas.curves.study import Result, select
from failure_atlas.drawing.style import CLASS_COLORS, WELL_COLOR, new_figure, save_figure, shorten
from stages.compute_curves.results import SCALING, is_headline, tabulate_curves, tabulate_differences

Look = tuple[str, LineStyleType, float, float]  # the line, the judge's dots and their width, opacity of the band
TOP: Look = ("-", ":", 1.2, 0.2)
RANDOM: Look = ("--", (0, (1, 4)), 0.9, 0.1)
WHOLE: Look = ("-", ":", 1.4, 0.2)
CLASS: Look = ("-", ":", 0.8, 0.06)
FINDING: dict[str, Any] = {"fontsize": 12, "fontweight": "bold"}  # a title that half the size leaves readable
LETTERS = 80  # of a line of it
SHIFT_LABEL = "shift of each dimension in std"
CENTRE_TITLES = {"own_class": "centre of the own class", "all": "centre of all"}
DIFFERENCE_AXES = {
    "distance": "distance in std (all dimensions, mean of the own class)",
    "shift": "shift of the own top dimensions in std",
}


def save_figures(
    folder: Path,
    results: Sequence[Result],
    differences: Sequence[Difference],
    top_k: Sequence[int | str],
    headline_k: int,
) -> None:
    """Draw all figures, a PNG with its numbers as CSV each; results: of all classifiers and kinds."""
    distances, shifts = select(results, kind="distance"), select(results, kind="shift")
    projections = select(results, kind="projection", scope=ALL)
    classes = [result for result in distances if is_headline(result.key, headline_k)]
    for name, figure, drawn in (
        ("fig6a_classifiers", draw_classifiers(distances, top_k), select(distances, scope=ALL)),
        ("fig6b_classes", draw_classes(classes), select(classes, dimensions="top")),
        ("shift", draw_shifts(shifts), shifts),
        ("projection", draw_projections(projections, top_k), projections),
    ):
        save_figure(figure, folder / f"{name}.png", tabulate_curves(drawn))
    save_figure(draw_differences(differences), folder / "paired_difference.png", tabulate_differences(differences))


def draw_classifiers(results: Sequence[Result], top_k: Sequence[int | str]) -> Figure:
    """Figure 6a: accuracy against standardised distance; a row per centre, a column per K, a colour per classifier."""
    rows = [select(results, scope=ALL, scaling=SCALING, centre=centre) for centre in CENTRES]
    figure, axes = new_figure(len(rows), len(top_k), width=2.8 * len(top_k) + 1.6, height=2.4 * len(rows) + 0.5)
    first = select(rows[0], k=str(top_k[0]), dimensions="top")
    figure.suptitle(tell_change(first, "from the nearest samples to the farthest"), **FINDING)
    for centre, drawn, row in zip(CENTRES, rows, axes, strict=True):
        _draw_each_k(row, drawn, top_k, "distance in std", f", {CENTRE_TITLES[centre]}")
    _finish(axes)
    return figure


def draw_projections(results: Sequence[Result], top_k: Sequence[int | str]) -> Figure:
    """Accuracy against the signed projection on the degradation directions; a column per K, a colour per classifier."""
    figure, axes = new_figure(1, len(top_k), width=3.2 * len(top_k) + 1.6, height=3.0)
    _draw_each_k(axes[0], results, top_k, "projection on degradation, in std")
    _finish(axes)
    return figure


def draw_differences(differences: Sequence[Difference]) -> Figure:
    """Accuracy of one classifier minus that of another on the same samples; a row per pair, a column per kind.

    Bars: interval of each point; shade: band of the whole curve.
    """
    pairs = list(dict.fromkeys(each.name for each in differences))
    figure, axes = new_figure(max(len(pairs), 1), len(DIFFERENCE_AXES), width=7.6, height=2.9 * max(len(pairs), 1))
    for ax in axes.flat:
        ax.axhline(0, color="black", linewidth=0.8)
    if not pairs:
        figure.suptitle("one classifier: nothing to compare")
    for each in differences:
        ax = axes[pairs.index(each.name), list(DIFFERENCE_AXES).index(each.kind)]
        points = {str(name): column.to_numpy() for name, column in each.points.items()}
        x, value = points["x"], points["difference"]
        ax.fill_between(x, points["band_low"], points["band_high"], color=WELL_COLOR, alpha=0.2, linewidth=0)
        half = np.clip([value - points["low"], points["high"] - value], 0, None)
        ax.errorbar(x, value, half, color=WELL_COLOR, marker=".", linewidth=1.2, elinewidth=1, capsize=2)
        ax.set_title(
            f"{tell_lead(each)}, same samples\narea {each.area['value']:+.3f} "
            f"[{each.area['low']:+.3f}, {each.area['high']:+.3f}], n={each.area['n']:,}",
            fontsize=10,
        )
        ax.set(xlabel=DIFFERENCE_AXES[each.kind], ylabel="difference in accuracy")
    return figure


def tell_change(results: Sequence[Result], how: str) -> str:
    """How each classifier's accuracy ends, as a figure's title; how: it gets from the first to the last point."""
    ends = {each.key.classifier: (each.curve.accuracy[0], each.curve.accuracy[-1]) for each in results}
    verb = "falls" if all(last < first for first, last in ends.values()) else "goes"
    told = ", ".join(f"{shorten(name)} {first:.2f} to {last:.2f}" for name, (first, last) in ends.items())
    return f"Accuracy {verb} {how}:\n{fill(told, LETTERS)}"


def tell_lead(difference: Difference) -> str:
    """Which of two classifiers the interval of the area puts ahead."""
    low, high = difference.area["low"], difference.area["high"]
    verb = "is ahead of" if low > 0 else "is behind" if high < 0 else "against"
    return f"{shorten(difference.second)} {verb} {shorten(difference.first)}" + (": open" if verb == "against" else "")


def draw_classes(results: Sequence[Result]) -> Figure:
    """Figure 6b: one panel per classifier, one line per class, all classes in black; results: of one kind and K."""
    names = _names(results)
    figure, axes = new_figure(1, len(names), width=4.0 * len(names) + 0.8, height=3.4)
    _draw_each_classifier(axes[0], results, "distance in std")
    _finish(axes, control=False)
    return figure


def draw_shifts(results: Sequence[Result]) -> Figure:
    """Accuracy against shift: classifiers with the random control, then a panel per classifier with its classes."""
    names = _names(results)
    figure, axes = new_figure(1, 1 + len(names), width=3.2 * (1 + len(names)) + 0.8, height=3.4)
    top = select(results, scope=ALL, dimensions="top")
    figure.suptitle(tell_change(top, f"under a shift of {top[0].curve.x[-1]:g} std in every top dimension"), **FINDING)
    first, *others = axes[0]
    _draw_with_control(first, select(results, scope=ALL), names)
    first.set(title=f"{results[0].key.k} dimensions together, top against random", xlabel=SHIFT_LABEL)
    _draw_each_classifier(others, results, SHIFT_LABEL)
    _finish(axes)
    return figure


def _draw_each_k(
    axes: Sequence[Axes], results: Sequence[Result], top_k: Sequence[int | str], label: str, title: str = ""
) -> None:
    """A panel for each number of dimensions; label: of the x axis.  title: said behind that number."""
    for k, ax in zip(top_k, axes, strict=True):
        _draw_with_control(ax, select(results, k=str(k)), _names(results))
        ax.set(title=f"{'all dimensions' if k == ALL else f'top {k}'}{title}", xlabel=label)


def _draw_each_classifier(axes: Sequence[Axes], results: Sequence[Result], label: str) -> None:
    """A panel for each classifier, with its classes."""
    for name, ax in zip(_names(results), axes, strict=True):
        ax.set(title=name, xlabel=label)
        _draw_scopes(ax, select(results, classifier=name, dimensions="top"))


def _draw_with_control(ax: Axes, results: Sequence[Result], names: Sequence[str]) -> None:
    """Top dimensions as lines, random ones as dashes, each with its band; the judge on both as thin dots.

    The legend in the panel holds the trend tests.
    """
    for result in results:
        name, top = result.key.classifier, result.key.dimensions == "top"
        color = CLASS_COLORS[names.index(name) % len(CLASS_COLORS)]
        look = TOP if top else RANDOM
        _draw_line(ax, result, color, name if top else f"{name}, random", look, bars=top)
    ax.legend(fontsize=7, loc="lower left", title="p of the trend test", title_fontsize=7)


def _draw_scopes(ax: Axes, results: Sequence[Result]) -> None:
    """A line for each class, of many for those with the least area; then all classes in black, on top."""
    classes = [result for result in results if result.key.scope != ALL]
    if len(classes) > len(CLASS_COLORS):
        classes = sorted(classes, key=lambda result: np.nanmean(result.curve.accuracy))[: len(CLASS_COLORS)]
        ax.set_xlabel(f"{ax.get_xlabel()}; the {len(classes)} worst classes")
    scopes = [result.key.scope for result in classes]
    for result in [*classes, *(result for result in results if result.key.scope == ALL)]:
        scope = result.key.scope
        color = "black" if scope == ALL else CLASS_COLORS[scopes.index(scope) % len(CLASS_COLORS)]
        _draw_line(ax, result, color, shorten(scope, 10), WHOLE if scope == ALL else CLASS, bars=False)
    ax.legend(fontsize=6, loc="best", ncol=2, title="p of the trend test", title_fontsize=6)  # some curves end at 0


def _draw_line(ax: Axes, result: Result, color: ColorType, label: str, look: Look, *, bars: bool) -> None:
    """A curve with its band; what the judge reads of the same images as dots.

    bars: whether each point bears its own interval.
    """
    style, dots, width, opacity = look
    curve, ceiling = result.curve, result.ceiling
    label = f"{label}: {tell_p_value(result.trend_p_value)}"
    ax.plot(curve.x, curve.accuracy, style, color=color, marker=".", markersize=4, linewidth=1.2, label=label)
    if result.band is not None:
        ax.fill_between(curve.x, *result.band, color=color, alpha=opacity, linewidth=0)
    if bars:
        ax.vlines(curve.x, curve.low, curve.high, color=color, linewidth=1)
    ax.plot(ceiling.x, ceiling.accuracy, linestyle=dots, color=color, linewidth=width)


def tell_p_value(p_value: float) -> str:
    """Such as `5e-15` or `0.03`; `< 1e-99`, `> 0.999` beyond, `unknown` for NaN."""
    if np.isnan(p_value):
        return "unknown"
    if p_value < 1e-99 or p_value > 0.999:
        return "< 1e-99" if p_value < 0.5 else "> 0.999"
    return f"{p_value:.0e}" if p_value < 0.001 else f"{p_value:.2g}"


def _names(results: Sequence[Result]) -> list[str]:
    """Classifiers in order of appearance."""
    return list(dict.fromkeys(result.key.classifier for result in results))


def _finish(axes: np.ndarray, *, control: bool = True) -> None:
    """What the marks mean, right of the first row; control: whether random lines and intervals of points are drawn."""
    line = partial(Line2D, [], [], color="black")
    handles: list[Artist] = [
        line(marker=".", markersize=4, linewidth=1.2, label="top dimensions"),
        line(linestyle=":", linewidth=1.2, label="judge, same images"),
        Patch(color="black", alpha=0.2, linewidth=0, label="95 % of the whole curve"),
    ]
    if control:
        handles += [
            line(marker="|", linestyle="", label="95 % of a point"),
            line(marker=".", markersize=4, linestyle="--", linewidth=1.2, label="random dimensions"),
            line(linestyle=(0, (1, 4)), linewidth=0.9, label="judge on these"),
        ]
    last = axes[0, -1]
    in_panel = last.get_legend()
    last.legend(handles=handles, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    last.add_artist(in_panel)
    for ax in axes.flat:
        ax.set_ylim(0, 1.01)
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")
