"""What is measured on generated images against accuracy on real ones, and how well the orders agree."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, new_figure
from stages.validate_externally.conditions import CORRUPTED
from stages.validate_externally.measures import MEASURES
from stages.validate_externally.results import find_correlation

MARKERS = "osD^v<>P"  # another one for each round of colours


def draw_scatter(estimates: pd.DataFrame, correlations: pd.DataFrame) -> Figure:
    """One panel per measure, one point per classifier with the intervals of both sides; y: mean over all corruptions.

    estimates: see `tabulate_estimates`.  correlations: see `tabulate_correlations`.
    """
    figure, axes = new_figure(1, len(MEASURES), width=3.1 * len(MEASURES) + 1.7, height=3.4)
    classifiers = list(dict.fromkeys(estimates["classifier"]))
    chosen = estimates.set_index(["classifier", "measure"])
    for measure, ax in zip(MEASURES, axes[0], strict=True):
        for place, classifier in enumerate(classifiers):
            x, y = chosen.loc[(classifier, measure)], chosen.loc[(classifier, CORRUPTED)]
            marker, color = divmod(place, len(CLASS_COLORS))
            look: dict[str, Any] = {
                "fmt": MARKERS[marker % len(MARKERS)],
                "color": CLASS_COLORS[color],
                "markersize": 5,
            }
            look |= {"xerr": _reach(x), "yerr": _reach(y), "markersize": 5, "elinewidth": 0.8}
            ax.errorbar(x["value"], y["value"], label=classifier, **look)
        row = find_correlation(correlations, "spearman", measure, CORRUPTED)
        ax.set_title(f"Spearman {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], n = {row['n']}")
        ax.set_xlabel(f"{measure}, generated images")
    axes[0, 0].set_ylabel("accuracy on real images,\nmean over all corruptions")
    axes[0, -1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_correlations(correlations: pd.DataFrame) -> Figure:
    """Spearman's correlation as a heat map, measure by condition, with its interval over classifiers in each cell."""
    table = correlations[correlations["coefficient"] == "spearman"]
    conditions = list(dict.fromkeys(table["condition"]))
    values = table["value"].to_numpy().reshape(len(MEASURES), len(conditions))
    figure, axes = new_figure(1, 1, width=0.62 * len(conditions) + 2.4, height=3.4)
    ax = axes[0, 0]
    shades = plt.get_cmap("RdBu").with_extremes(bad="white")
    image = ax.imshow(np.ma.masked_invalid(values), cmap=shades, vmin=-1, vmax=1, aspect="auto")
    for index, (value, low, high) in enumerate(table[["value", "low", "high"]].to_numpy().tolist()):
        row, column = divmod(index, len(conditions))
        color = "white" if abs(value) > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}\n{low:.2f}\n{high:.2f}", ha="center", va="center", fontsize=6, color=color)
    ax.set_xticks(range(len(conditions)), conditions, rotation=60, ha="right", fontsize=7)
    ax.set_yticks(range(len(MEASURES)), MEASURES, fontsize=8)
    ax.set_title(
        "Spearman correlation with accuracy on real images: value and 95 % interval over "
        f"{table['n'].iloc[0]} classifiers"
    )
    ax.grid(visible=False)
    figure.colorbar(image, ax=ax, fraction=0.03)
    return figure


def _reach(estimate: pd.Series) -> np.ndarray:
    """Lengths [2, 1] of the error bar on both sides."""
    value, low, high = (float(estimate[name]) for name in ("value", "low", "high"))
    return np.array([[max(value - low, 0)], [max(high - value, 0)]])
