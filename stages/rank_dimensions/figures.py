"""Figure 4 (histograms of well- against misclassified samples) and the ranking as bars."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.common.figures import MIS_COLOR, WELL_COLOR, new_figure
from stages.rank_dimensions.separation import bound_null_ks, measure_ks

BARS = 20
GRADIENT_SCORE = "mean gradient of the true-class softmax\nper raw style unit"
INTERVAL = 1.96  # standard errors on each side: 95 %


@dataclass(frozen=True)
class Shown:
    """A dimension of figure 4. group: `top` or `random`; rank: its place in the global ranking."""

    dimension: int
    group: str
    rank: int
    layer: str


def choose_dimensions(ranking: pd.DataFrame, count: int, random: np.random.Generator) -> list[Shown]:
    """The first `count` dimensions of a ranking and as many random others, which vary in the population.

    ranking: one scope of the table, in order.
    """
    varying = ranking[ranking["std"] > 0].reset_index(drop=True)
    others = np.arange(min(count, len(varying)), len(varying))
    drawn = np.sort(random.choice(others, min(count, len(others)), replace=False))
    places = [(place, "top") for place in range(min(count, len(varying)))] + [(int(place), "random") for place in drawn]
    dimensions, ranks, layers = varying["dimension"].tolist(), varying["rank"].tolist(), varying["layer"].tolist()
    return [Shown(dimensions[place], group, ranks[place], layers[place]) for place, group in places]


def tabulate_histograms(
    values: dict[str, np.ndarray], well: np.ndarray, shown: Sequence[Shown], bins: int
) -> pd.DataFrame:
    """Histograms of well- and misclassified samples with their Kolmogorov-Smirnov statistic, one row per bin.

    values: name of a row of the figure -> [N, D].  well: [N] bool.  Shares add up to 1 in each histogram.
    """
    blocks = []
    for name, styles in values.items():
        for dimension in shown:
            column = styles[:, [dimension.dimension]].astype(np.float64)
            edges = np.histogram_bin_edges(column, bins)
            counts = [np.histogram(column[chosen, 0], edges)[0] for chosen in (well, ~well)]
            block = {
                "values": name,
                "group": dimension.group,
                "dimension": dimension.dimension,
                "rank": dimension.rank,
                "layer": dimension.layer,
                "ks": measure_ks(column[well], column[~well])[0],
                "ks_null_95": bound_null_ks(int(well.sum()), int((~well).sum())),
                "n_well": int(well.sum()),
                "n_mis": int((~well).sum()),
                "bin_low": edges[:-1],
                "bin_high": edges[1:],
                "well_share": counts[0] / max(well.sum(), 1),
                "mis_share": counts[1] / max((~well).sum(), 1),
            }
            blocks.append(pd.DataFrame(block))
    return pd.concat(blocks, ignore_index=True)


def draw_histograms(table: pd.DataFrame) -> Figure:
    """Figure 4 of the paper from `tabulate_histograms`: one row per kind of values, one column per dimension."""
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


def draw_ranking(table: pd.DataFrame, score: str = GRADIENT_SCORE) -> Figure:
    """The leading dimensions of one scope as bars, with 95 % intervals of the score.

    table: see `head_ranking`.  score: what the score is, for the axis.
    """
    figure, axes = new_figure(1, 1, width=7.5, height=3.6)
    panel = axes[0, 0]
    places = np.arange(len(table))
    colors = np.where(table["score"] < 0, MIS_COLOR, WELL_COLOR)
    half = INTERVAL * table["standard_error"].fillna(0)
    panel.bar(places, table["score"], yerr=half, color=list(colors), error_kw={"elinewidth": 1, "capsize": 2})
    panel.axhline(0, color="black", linewidth=0.8)
    labels = [f"{row.dimension}  {row.layer}" for row in table.itertuples()]
    panel.set_xticks(places, labels, rotation=90, fontsize=7)
    panel.set_ylabel(score)
    panel.set_title("most influential style dimensions, all classes with equal weight (bars: 95 % interval)")
    return figure


def head_ranking(ranking: pd.DataFrame) -> pd.DataFrame:
    """The rows of one scope that `draw_ranking` shows."""
    return ranking.head(BARS).reset_index(drop=True)


def _draw_histogram(panel: Axes, own: pd.DataFrame) -> None:
    edges = np.append(own["bin_low"], own["bin_high"].iloc[-1])
    for share, color in (("well_share", WELL_COLOR), ("mis_share", MIS_COLOR)):
        panel.stairs(own[share], edges, color=color, fill=True, alpha=0.45)
    first = own.iloc[0]
    ks = "well and mis are not both there" if np.isnan(first["ks"]) else f"KS {first['ks']:.2f}"
    if not np.isnan(first["ks"]):
        ks += f" (by chance < {first['ks_null_95']:.2f})"
    panel.set_title(f"{first['group']}: {first['dimension']}, {first['layer']}\n{ks}", fontsize=8)
