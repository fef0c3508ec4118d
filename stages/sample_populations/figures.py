"""Figure 3: the same samples in Z, W and S, coloured by class and by outcome."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from failure_atlas.drawing.style import CLASS_COLORS, MIS_COLOR, WELL_COLOR, new_figure, shorten


def draw_spaces(
    planes: Mapping[str, np.ndarray], labels: np.ndarray, well: np.ndarray, class_names: Sequence[str]
) -> tuple[Figure, pd.DataFrame]:
    """Two rows (class; well or mis) by one column per space.

    planes: name -> [N, 2].  labels: [N].  well: bool [N].  class_names: in the order of the labels.
    Returns the figure and its numbers, one row per sample.
    """
    figure, axes = new_figure(2, len(planes), width=3.4 * len(planes), height=6.6)
    for (name, plane), column in zip(planes.items(), axes.T, strict=True):
        column[0].scatter(*plane.T, c=[CLASS_COLORS[label % len(CLASS_COLORS)] for label in labels], s=3, linewidths=0)
        # Misclassified samples are the fewer: drawn last, they stay visible.
        column[1].scatter(*plane[well].T, c=WELL_COLOR, s=3, linewidths=0)
        column[1].scatter(*plane[~well].T, c=MIS_COLOR, s=5, linewidths=0)
        column[0].set_title(name.upper())
        for ax in column:
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
    axes[0, 0].set_ylabel("class")
    axes[1, 0].set_ylabel("outcome")
    colors = {class_names[label]: CLASS_COLORS[label % len(CLASS_COLORS)] for label in np.unique(labels)}
    if len(colors) > len(CLASS_COLORS):
        axes[0, 0].set_ylabel(f"class: {len(colors)} in {len(CLASS_COLORS)} colours")
    else:
        _explain(axes[0, -1], colors)
    _explain(axes[1, -1], {"well-classified": WELL_COLOR, "misclassified": MIS_COLOR})
    classes = [class_names[label] for label in labels]
    table = pd.DataFrame({"sample": np.arange(len(labels)), "class": classes, "well": well})
    for name, plane in planes.items():
        table[f"{name}_x"], table[f"{name}_y"] = plane.T
    return figure, table


def _explain(ax: Axes, colors: Mapping[str, ColorType]) -> None:
    """A legend outside the axes, on the right."""
    handles = [ax.scatter([], [], c=[color], s=14, label=shorten(name)) for name, color in colors.items()]
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0)
