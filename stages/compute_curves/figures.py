"""Figures 6a (classifiers) and 6b (classes and all), the same against shift and projection, and paired differences."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from stages.common.figures import CLASS_COLORS, WELL_COLOR, new_figure, shorten
from stages.compute_curves.distance_study import CENTRES
from stages.compute_curves.paired import Difference
from stages.compute_curves.results import Result
from stages.compute_curves.summary import SCALING, select
from stages.shift_samples.ranking import ALL

CENTRE_TITLES = {"own_class": "centre of the own class", "all": "centre of all"}
DIFFERENCE_AXES = {
    "distance": "distance in std (all dimensions, mean of the own class)",
    "shift": "shift of the own top dimensions in std",
}


def draw_classifiers(results: Sequence[Result], top_k: Sequence[int | str]) -> Figure:
    """Figure 6a: accuracy against standardised distance; a row per centre, a column per K, a colour per classifier."""
    names = _names(results)
    figure, axes = new_figure(len(CENTRES), len(top_k), width=3.2 * len(top_k) + 1.6, height=2.7 * len(CENTRES))
    for centre, row in zip(CENTRES, axes, strict=True):
        for k, ax in zip(top_k, row, strict=True):
            drawn = select(results, kind="distance", scope=ALL, k=str(k), scaling=SCALING, centre=centre)
            _draw_with_control(ax, drawn, names)
            ax.set_title(f"{_name_dimensions(k)}, {CENTRE_TITLES[centre]}")
            ax.set_xlabel("distance in std")
    _explain_beside(axes[0, -1], axes[0, 0])
    _finish(axes)
    return figure


def draw_projections(results: Sequence[Result], top_k: Sequence[int | str]) -> Figure:
    """Accuracy against the signed projection on the degradation directions; a column per K, a colour per classifier."""
    names = _names(results)
    figure, axes = new_figure(1, len(top_k), width=3.2 * len(top_k) + 1.6, height=3.0)
    for k, ax in zip(top_k, axes[0], strict=True):
        _draw_with_control(ax, select(results, k=str(k)), names)
        ax.set_title(_name_dimensions(k))
        ax.set_xlabel("projection on degradation, in std")
    _explain_beside(axes[0, -1], axes[0, 0])
    _finish(axes)
    return figure


def draw_differences(differences: Sequence[Difference]) -> Figure:
    """Accuracy of one classifier minus that of another on the same samples; a row per pair, a column per kind.

    Bars: interval of each point; shade: band of the whole curve.
    """
    pairs = list(dict.fromkeys(each.name for each in differences))
    figure, axes = new_figure(max(len(pairs), 1), len(DIFFERENCE_AXES), width=8.4, height=3.2 * max(len(pairs), 1))
    for ax in axes.flat:
        ax.axhline(0, color="black", linewidth=0.8)
    if not pairs:
        figure.suptitle("one classifier: nothing to compare")
    for each in differences:
        ax = axes[pairs.index(each.name), list(DIFFERENCE_AXES).index(each.kind)]
        ax.fill_between(each.x, each.band_low, each.band_high, color=WELL_COLOR, alpha=0.2, linewidth=0)
        half = np.clip([each.difference - each.low, each.high - each.difference], 0, None)
        ax.errorbar(each.x, each.difference, half, color=WELL_COLOR, marker=".", linewidth=1.2, elinewidth=1, capsize=2)
        ax.set_title(
            f"{each.second} minus {each.first}, same samples\narea {each.area['value']:+.3f} "
            f"[{each.area['low']:+.3f}, {each.area['high']:+.3f}], n={each.area['n']:,}"
        )
        ax.set_xlabel(DIFFERENCE_AXES[each.kind])
        ax.set_ylabel("difference in accuracy")
    return figure


def draw_classes(results: Sequence[Result]) -> Figure:
    """Figure 6b: one panel per classifier, one line per class, all classes in black; results: of one kind and K."""
    names = _names(results)
    figure, axes = new_figure(1, len(names), width=4.0 * len(names) + 0.8, height=3.4)
    for name, ax in zip(names, axes[0], strict=True):
        _draw_scopes(ax, select(results, classifier=name, dimensions="top"))
        ax.set_title(name)
        ax.set_xlabel("distance in std")
    _explain_beside(axes[0, -1])
    _finish(axes)
    return figure


def draw_shifts(results: Sequence[Result]) -> Figure:
    """Accuracy against shift: classifiers with the random control, then a panel per classifier with its classes."""
    names = _names(results)
    figure, axes = new_figure(1, 1 + len(names), width=3.6 * (1 + len(names)) + 0.8, height=3.2)
    _draw_with_control(axes[0, 0], select(results, scope=ALL), names)
    axes[0, 0].set_title(f"{results[0].key.k} dimensions together, top against random")
    for name, ax in zip(names, axes[0, 1:], strict=True):
        _draw_scopes(ax, select(results, classifier=name, dimensions="top"))
        ax.set_title(name)
    for ax in axes.flat:
        ax.set_xlabel("shift of each dimension in std")
    axes[0, 0].legend(fontsize=7, loc="lower left")
    _explain_beside(axes[0, -1])
    _finish(axes)
    return figure


def _draw_with_control(ax: Axes, results: Sequence[Result], names: Sequence[str]) -> None:
    """Top dimensions with their interval as lines, random ones with their range as dashes, the judge as thin dots."""
    for result in results:
        color = CLASS_COLORS[names.index(result.key.classifier) % len(CLASS_COLORS)]
        top = result.key.dimensions == "top"
        label = result.key.classifier if top else f"{result.key.classifier}, random"
        _draw_line(ax, result, color, label=label, style="-" if top else "--", band=0.25 if top else 0.1)
        if top:
            _draw_ceiling(ax, result, color, label=f"judge, images of {result.key.classifier}")


def _draw_scopes(ax: Axes, results: Sequence[Result]) -> None:
    names = [result.key.scope for result in results if result.key.scope != ALL]
    for result in sorted(results, key=lambda result: result.key.scope == ALL):  # black last, on top
        if result.key.scope == ALL:
            _draw_line(ax, result, "black", label=ALL, style="-", band=0.2)
            _draw_ceiling(ax, result, "black", label="judge, all")
        else:
            color = CLASS_COLORS[names.index(result.key.scope) % len(CLASS_COLORS)]
            _draw_line(ax, result, color, label=shorten(result.key.scope), style="-", band=0)


def _draw_line(ax: Axes, result: Result, color: ColorType, *, label: str, style: str, band: float) -> None:
    curve = result.curve
    ax.plot(curve.x, curve.accuracy, style, color=color, marker=".", markersize=4, linewidth=1.2, label=label)
    if band:
        ax.fill_between(curve.x, curve.low, curve.high, color=color, alpha=band, linewidth=0)


def _draw_ceiling(ax: Axes, result: Result, color: ColorType, *, label: str) -> None:
    """What the judge reads of the same images."""
    curve = result.ceiling
    ax.plot(curve.x, curve.accuracy, ":", color=color, linewidth=1.0, label=label)
    ax.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.1, linewidth=0)


def _name_dimensions(k: int | str) -> str:
    return "all dimensions" if k == ALL else f"top {k}"


def _names(results: Sequence[Result]) -> list[str]:
    """Classifiers in order of appearance."""
    return list(dict.fromkeys(result.key.classifier for result in results))


def _finish(axes: np.ndarray) -> None:
    for ax in axes.flat:
        ax.set_ylim(0, 1.01)
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy")


def _explain_beside(ax: Axes, drawn_in: Axes | None = None) -> None:
    """A legend on the right, outside, of what is drawn in this panel or in another."""
    handles, labels = (drawn_in or ax).get_legend_handles_labels()
    ax.legend(handles, labels, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
