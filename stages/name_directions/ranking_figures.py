"""The ranking with names: its leading dimensions as bars, and figure 4 (paper 2.2), of numbers of rank_dimensions."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.core.files import read_table
from failure_atlas.drawing.style import MIS_COLOR, WELL_COLOR, new_figure
from failure_atlas.statistics.estimates import Z
from stages.common.artefacts.names import Names, shorten_name
from stages.common.artefacts.ranking import GLOBAL, SCORE_BY

BARS = 20
# Of the rows of figure 4: raw values differ between well and mis also because some classes fail more often.
VALUES = {"raw": "raw", "minus_class_mean": "minus class mean\n(claims rest on this)"}
HISTOGRAM_COLUMNS = ["values", "group", "dimension", "rank", "layer", "ks", "ks_null_95", "n_well", "n_mis",
                     "bin_low", "bin_high", "well_share", "mis_share"]  # fmt: skip


def read_histograms(folder: Path) -> pd.DataFrame:
    """Read histograms.csv of a result folder of rank_dimensions; StageError if it is missing or of another form."""
    return read_table(folder / "histograms.csv", "rank_dimensions", HISTOGRAM_COLUMNS)


def draw_histograms(histograms: pd.DataFrame, ranking: pd.DataFrame, words: Names) -> tuple[Figure, pd.DataFrame]:
    """Figure 4 of the paper: one row per kind of values, one column per dimension, named by its failing move.

    histograms, ranking: as rank_dimensions leaves them. Returns the numbers with a column `name`, too.
    """
    leading = ranking[ranking["scope"] == GLOBAL].set_index("dimension")["direction"]
    names = words.name_rows([GLOBAL] * len(histograms), histograms["dimension"], leading.loc[histograms["dimension"]])
    table = histograms.assign(name=names)
    kinds, dimensions = list(dict.fromkeys(table["values"])), list(dict.fromkeys(table["dimension"]))
    figure, axes = new_figure(len(kinds), len(dimensions), width=2.1 * len(dimensions) + 0.4, height=2.3 * len(kinds))
    for panels, kind in zip(axes, kinds, strict=True):
        for panel, dimension in zip(panels, dimensions, strict=True):
            _draw_histogram(panel, table[(table["values"] == kind) & (table["dimension"] == dimension)])
        panels[0].set_ylabel(f"{VALUES.get(kind, kind)}\nshare of samples")
    first = table.iloc[0]
    axes[0, 0].legend([f"well (n={first['n_well']})", f"mis (n={first['n_mis']})"], fontsize=7)
    return figure, table


def draw_ranking(ranking: pd.DataFrame, words: Names) -> tuple[Figure, pd.DataFrame]:
    """The leading dimensions over all classes as bars, with 95 % intervals of the score, and these rows with names.

    Below each bar stands the name of the failing move, `not named` where nobody measured it.
    """
    table = ranking[ranking["scope"] == GLOBAL].head(BARS).reset_index(drop=True)
    table = table.assign(name=words.name_rows([GLOBAL] * len(table), table["dimension"], table["direction"]))
    figure, axes = new_figure(1, 1, width=7.5, height=4.2)
    panel = axes[0, 0]
    places = np.arange(len(table))
    colors = np.where(table["score"] < 0, MIS_COLOR, WELL_COLOR)
    half = Z * table["standard_error"].fillna(0)
    panel.bar(places, table["score"], yerr=half, color=list(colors), error_kw={"elinewidth": 1, "capsize": 2})
    panel.axhline(0, color="black", linewidth=0.8)
    labels = [f"{shorten_name(str(row.name))}  {row.dimension}  {row.layer}" for row in table.itertuples()]
    panel.set_xticks(places, labels, rotation=90, fontsize=7)
    slope = table[SCORE_BY].iloc[0].replace("_", " ") if SCORE_BY in table else "gradient"
    panel.set_ylabel(f"mean {slope}\nof the true-class softmax\nper raw style unit")
    panel.set_title("most influential style dimensions, all classes with equal weight (bars: 95 % interval)")
    return figure, table


def _draw_histogram(panel: Axes, own: pd.DataFrame) -> None:
    edges = np.append(own["bin_low"], own["bin_high"].iloc[-1])
    for share, color in (("well_share", WELL_COLOR), ("mis_share", MIS_COLOR)):
        panel.stairs(own[share], edges, color=color, fill=True, alpha=0.45)
    first = own.iloc[0]
    ks = "well and mis are not both there"
    if not np.isnan(first["ks"]):
        ks = f"KS {first['ks']:.2f} (by chance < {first['ks_null_95']:.2f})"
    name = f"\n{first['name'].replace(', ', ',' + chr(10), 1)}" if first["name"] else ""
    panel.set_title(f"{first['group']}: {first['dimension']}, {first['layer']}{name}\n{ks}", fontsize=8)
