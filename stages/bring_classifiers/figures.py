"""The figure of what was tried: would the classifier be right more often if it were fed otherwise?"""

import numpy as np
import pandas as pd

from stages.common.figures import MIS_COLOR, WELL_COLOR, new_figure
from stages.train_classifiers.figures import Drawing


def draw_changes(table: pd.DataFrame) -> Drawing:
    """Accuracy on clean test images as declared and with one thing changed, with 95 % intervals; table: `tabulate`."""
    figure, grid = new_figure(1, 1, width=6, height=1.2 + 0.32 * len(table))
    axes, places = grid[0, 0], np.arange(len(table))
    for when, color, offset, label in (
        ("before", WELL_COLOR, 0.12, "as declared"),
        ("after", MIS_COLOR, -0.12, "changed"),
    ):
        value = table[f"accuracy_{when}"].to_numpy()
        spread = np.abs(table[[f"accuracy_{when}_low", f"accuracy_{when}_high"]].to_numpy().T - value)
        axes.errorbar(value, -places + offset, xerr=spread, fmt="o", markersize=4, color=color, label=label)
    axes.set_yticks(-places, [f"{change} (n = {n})" for change, n in table[["change", "n"]].itertuples(index=False)])
    axes.set(xlabel="accuracy on clean test images", xlim=(-0.02, 1.02), title="one thing declared otherwise")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), ncols=2)
    return figure, table
