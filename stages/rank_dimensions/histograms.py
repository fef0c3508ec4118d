"""The numbers of figure 4: histograms of well- against misclassified samples along a few dimensions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.rank_dimensions.separation import bound_null_ks, measure_ks

Columns = Callable[[slice | np.ndarray], np.ndarray]  # which dimensions -> their values [N, K]


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
    values: dict[str, Columns], well: np.ndarray, shown: Sequence[Shown], bins: int
) -> pd.DataFrame:
    """Histograms of well- and misclassified samples with their Kolmogorov-Smirnov statistic, one row per bin.

    values: name of a row of the figure -> its columns.  well: [N] bool.  Shares add up to 1 in each histogram.
    """
    blocks = []
    for name, columns in values.items():
        chosen_columns = columns(np.array([dimension.dimension for dimension in shown], np.int64))
        for place, dimension in enumerate(shown):
            column = chosen_columns[:, [place]].astype(np.float64)
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
