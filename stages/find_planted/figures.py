"""What was found of what was planted: by kind, and by size and rate of the spot."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, RANDOM_COLOR, WELL_COLOR, new_figure


def draw_planted(table: pd.DataFrame, curve: pd.DataFrame, overlap: float) -> Figure:
    """Left: share found by kind, generated beside real images alone. Right: by support, one line a failure rate."""
    figure, axes = new_figure(1, 2, width=10.5, height=4.0)
    left, right = axes[0]
    for name, color, shift in (("generated", WELL_COLOR, -0.15), ("real", RANDOM_COLOR, 0.15)):
        reach = [table[name] - table[f"{name}_low"], table[f"{name}_high"] - table[name]]
        options = {"fmt": "o", "color": color, "linewidth": 1, "markersize": 5}
        label = {"generated": "found in generated images", "real": "found in real images alone"}[name]
        left.errorbar(table[name], np.arange(len(table)) + shift, xerr=reach, label=label, **options)
    left.set_yticks(
        range(len(table)), [f"{row.kind} ({row.basis}, n={row.n})" for row in table.itertuples()], fontsize=8
    )
    left.invert_yaxis()
    left.set_xlim(0, 1.02)
    left.set_xlabel(f"share of planted blind spots found (overlap of {overlap:g} or more; bars: 95 %)")
    left.legend(fontsize=7, loc="lower left")
    told = (table["generated"] * table["n"]).sum() / table["n"].sum()
    left.set_title(f"{told:.0%} of planted blind spots are found")
    for color, (rate, own) in zip(CLASS_COLORS, curve.groupby("rate"), strict=False):
        middle = np.sqrt(own["support_low"] * own["support_high"])
        reach = [own["share"] - own["share_low"], own["share_high"] - own["share"]]
        right.errorbar(
            middle, own["share"], yerr=reach, fmt="o-", color=color, linewidth=1, markersize=4, label=f"{rate:g}"
        )
    right.set_xscale("log")
    right.set_xlabel("support: share of the domain that the spot is")
    right.set_ylabel("share found (bars: 95 %)")
    right.set_ylim(0, 1.02)
    right.legend(title="failure rate in the spot", fontsize=7, title_fontsize=7, loc="lower right")
    right.set_title("the smaller and the milder a spot, the more are missed")
    return figure
