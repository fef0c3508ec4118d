"""The ranking with names: its table, its leading dimensions as bars, and figure 4 (paper 2.2)."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.drawing.style import MIS_COLOR, WELL_COLOR, new_figure
from stages.common.artefacts.names import Names, shorten_name
from stages.common.artefacts.ranking import GLOBAL, SCORE_BY

BARS = 20
INTERVAL = 1.96  # standard errors on each side: 95 %
HISTOGRAM_COLUMNS = ["values", "group", "dimension", "rank", "layer", "ks", "ks_null_95", "n_well", "n_mis",
                     "bin_low", "bin_high", "well_share", "mis_share"]  # fmt: skip


def read_histograms(folder: Path) -> pd.DataFrame:
    """Read histograms.csv of a result folder of rank_dimensions; StageError if it is missing or of another form."""
    path = require(folder / "histograms.csv", "rank_dimensions")
    table = pd.read_csv(path)
    missing = [column for column in HISTOGRAM_COLUMNS if column not in table]
    if missing:
        raise StageError(
            f"{path}: lacks the columns {', '.join(missing)}; make it again with: dvc repro rank_dimensions"
        )
    return table


def name_ranking(ranking: pd.DataFrame, words: Names) -> pd.DataFrame:
    """The table of rank_dimensions with a column `name`: what the failing move does, or `not named`."""
    return ranking.assign(
        name=words.name_rows(*(ranking[column].tolist() for column in ("scope", "dimension", "direction")))
    )


def name_histograms(histograms: pd.DataFrame, ranking: pd.DataFrame, words: Names) -> pd.DataFrame:
    """The table of figure 4 with a column `name`, of each dimension's failing move over all classes."""
    leading = ranking[ranking["scope"] == GLOBAL].set_index("dimension")["direction"]
    dimensions = histograms["dimension"].tolist()
    names = words.name_rows([GLOBAL] * len(dimensions), dimensions, leading.loc[dimensions].tolist())
    return histograms.assign(name=names)


def draw_histograms(table: pd.DataFrame) -> Figure:
    """Figure 4 of the paper from `name_histograms`: one row per kind of values, one column per dimension."""
    names, dimensions = list(dict.fromkeys(table["values"])), list(dict.fromkeys(table["dimension"]))
    figure, axes = new_figure(len(names), len(dimensions), width=2.1 * len(dimensions) + 0.4, height=2.3 * len(names))
    for row, name in enumerate(names):
        for column, dimension in enumerate(dimensions):
            panel = axes[row, column]
            own = table[(table["values"] == name) & (table["dimension"] == dimension)]
            _draw_histogram(panel, own)
            if column == 0:
                panel.set_ylabel(f"{name}\nshare of samples")
    first = table.iloc[0]
    axes[0, 0].legend([f"well (n={first['n_well']})", f"mis (n={first['n_mis']})"], fontsize=7)
    return figure


def draw_ranking(table: pd.DataFrame) -> Figure:
    """The leading dimensions of one scope as bars, with 95 % intervals of the score.

    table: see `head_ranking`; below each bar the name of the failing move, `?` where nobody
    measured it.
    """
    figure, axes = new_figure(1, 1, width=7.5, height=4.2)
    panel = axes[0, 0]
    places = np.arange(len(table))
    colors = np.where(table["score"] < 0, MIS_COLOR, WELL_COLOR)
    half = INTERVAL * table["standard_error"].fillna(0)
    panel.bar(places, table["score"], yerr=half, color=list(colors), error_kw={"elinewidth": 1, "capsize": 2})
    panel.axhline(0, color="black", linewidth=0.8)
    labels = [f"{shorten_name(str(row.name))}  {row.dimension}  {row.layer}" for row in table.itertuples()]
    panel.set_xticks(places, labels, rotation=90, fontsize=7)
    panel.set_ylabel(_tell_score(table))
    panel.set_title("most influential style dimensions, all classes with equal weight (bars: 95 % interval)")
    return figure


def _tell_score(table: pd.DataFrame) -> str:
    """What the score is, for an axis."""
    slope = table[SCORE_BY].iloc[0].replace("_", " ") if SCORE_BY in table else "gradient"
    return f"mean {slope}\nof the true-class softmax\nper raw style unit"


def head_ranking(ranking: pd.DataFrame) -> pd.DataFrame:
    """The rows of the global ranking with names that `draw_ranking` shows."""
    return ranking[ranking["scope"] == GLOBAL].head(BARS).reset_index(drop=True)


def _draw_histogram(panel: Axes, own: pd.DataFrame) -> None:
    edges = np.append(own["bin_low"], own["bin_high"].iloc[-1])
    for share, color in (("well_share", WELL_COLOR), ("mis_share", MIS_COLOR)):
        panel.stairs(own[share], edges, color=color, fill=True, alpha=0.45)
    first = own.iloc[0]
    ks = "well and mis are not both there" if np.isnan(first["ks"]) else f"KS {first['ks']:.2f}"
    if not np.isnan(first["ks"]):
        ks += f" (by chance < {first['ks_null_95']:.2f})"
    name = f"\n{first['name'].replace(', ', ',' + chr(10), 1)}" if first["name"] else ""
    panel.set_title(f"{first['group']}: {first['dimension']}, {first['layer']}{name}\n{ks}", fontsize=8)
