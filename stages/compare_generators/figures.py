"""The shares of names and of layers in two generators, side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, new_figure

BAR = 0.38  # of the room of a group


def draw_shares(table: pd.DataFrame) -> Figure:
    """One panel per kind and number of dimensions, a pair of bars per group with 95 % intervals; see `tabulate_shares`.

    Names stand in the order of their mean share, layers in their own.
    """
    panels = [part for _, part in table.groupby(["kind", "dimensions"], sort=False)]
    rows = max(len(part) for part in panels)
    figure, axes = new_figure(1, len(panels), width=4.0 * len(panels), height=0.27 * rows + 1.2)
    for ax, part in zip(axes[0], panels, strict=True):
        kind, dimensions = part["kind"].iloc[0], part["dimensions"].iloc[0]
        if kind == "name":
            part = part.loc[
                (part["first_share"] + part["second_share"]).sort_values(ascending=False, kind="stable").index
            ]
        places = np.arange(len(part))
        for offset, name in ((-BAR / 2, "first"), (BAR / 2, "second")):
            share = part[f"{name}_share"].to_numpy()
            reach = [share - part[f"{name}_low"].to_numpy(), part[f"{name}_high"].to_numpy() - share]
            color = CLASS_COLORS[0 if name == "first" else 1]
            ax.barh(places + offset, share, BAR, color=color, label=f"{name} generator")
            ax.errorbar(
                share,
                places + offset,
                xerr=np.maximum(reach, 0),
                fmt="none",
                ecolor="black",
                elinewidth=0.8,
                capsize=1.5,
            )
        ax.set_yticks(places, part["group"], fontsize=7)
        ax.invert_yaxis()
        ax.set_xlabel("share of |score * std|")
        ax.set_title(
            f"by {kind}, " + (f"top {dimensions} dimensions" if kind == "name" else f"all {dimensions} dimensions")
        )
    axes[0, 0].legend(fontsize=7, loc="lower right")
    return figure
