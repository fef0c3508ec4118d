"""The shares of names and of layers in two generators, side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, new_figure

BAR = 0.38  # of the room of a group
ERROR = {"fmt": "none", "ecolor": "black", "elinewidth": 0.8, "capsize": 1.5}


def draw_shares(table: pd.DataFrame) -> Figure:
    """One panel per kind and number of dimensions, a pair of bars per group with 95 % intervals: comparison.csv.

    Names stand in the order of their mean share, layers in their own.
    """
    panels = [part for _, part in table.groupby(["kind", "dimensions"], sort=False)]
    rows = max(len(part) for part in panels)
    figure, axes = new_figure(1, len(panels), width=4.0 * len(panels), height=0.27 * rows + 1.2)
    for ax, part in zip(axes[0], panels, strict=True):
        kind, dimensions = part["kind"].iloc[0], part["dimensions"].iloc[0]
        if kind == "name":
            both = part["first_share"] + part["second_share"]
            part = part.loc[both.sort_values(ascending=False, kind="stable").index]
        for offset, name, color in ((-BAR / 2, "first", CLASS_COLORS[0]), (BAR / 2, "second", CLASS_COLORS[1])):
            places = np.arange(len(part)) + offset
            share, low, high = (part[f"{name}_{column}"].to_numpy() for column in ("share", "low", "high"))
            ax.barh(places, share, BAR, color=color, label=f"{name} generator")
            ax.errorbar(share, places, xerr=np.maximum([share - low, high - share], 0), **ERROR)
        ax.set_yticks(range(len(part)), part["group"], fontsize=7)
        ax.invert_yaxis()
        ax.set_xlabel("share of |score * std|")
        ax.set_title(f"by {kind}, {'top' if kind == 'name' else 'all'} {dimensions} dimensions")
    axes[0, 0].legend(fontsize=7, loc="lower right")
    return figure
