"""How differently style dimensions are distributed in well and in misclassified samples, and figure 4's numbers.

Also how few samples carry the gradients that the ranking rests on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from failure_atlas.statistics.estimates import percentile

REPLICATES = 500


def share_top_tenth(mass: np.ndarray) -> float:
    """Share of the total mass that the heaviest tenth of the samples (rounded up) carries; NaN if all is 0.

    mass: [N], none negative. 0.1 if all samples weigh the same, 1 if a tenth carries everything.
    """
    heaviest = -(-len(mass) // 10)
    total = float(mass.sum())
    return float(np.partition(mass, -heaviest)[-heaviest:].sum()) / total if total > 0 else float("nan")


def count_effective(squares: np.ndarray) -> float:
    """How many equal samples would make as uncertain a mean: (sum w)^2 / sum w^2 (Kish 1965); NaN if all is 0.

    squares: w, [N], the squared length of each sample's gradient. N if all are the same, 1 if one has everything.
    """
    total = float(np.square(squares).sum())
    return float(squares.sum()) ** 2 / total if total > 0 else float("nan")


def bootstrap_mass(
    measure: Callable[[np.ndarray], float], mass: np.ndarray, random: np.random.Generator
) -> dict[str, Any]:
    """What is measured of the samples' mass [N], with its 95 % bootstrap interval: {value, low, high, n}."""
    draws = (mass[random.integers(0, len(mass), len(mass))] for _ in range(REPLICATES))
    low, high = percentile(np.array([measure(draw) for draw in draws]))
    return {"value": measure(mass), "low": low, "high": high, "n": len(mass)}


def measure_ks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two-sample Kolmogorov-Smirnov statistic of each column: the largest gap between the two distributions.

    first: [N, D], second: [M, D]. Returns [D] in [0, 1]; NaN if a sample is empty.
    """
    if not len(first) or not len(second):
        return np.full(first.shape[1], np.nan)
    return np.asarray(stats.ks_2samp(first, second, method="asymp").statistic)


def bound_null_ks(n: int, m: int) -> float:
    """The statistic that two samples of one distribution stay below in 95 % of cases (Smirnov 1948, large samples)."""
    return float(np.sqrt(np.log(2 / 0.05) / 2 * (n + m) / (n * m))) if n and m else float("nan")


Columns = Callable[[slice | np.ndarray], np.ndarray]  # which dimensions -> their values [N, K]


def choose_dimensions(ranking: pd.DataFrame, count: int, random: np.random.Generator) -> pd.DataFrame:
    """The first `count` dimensions of a ranking and as many random others, which vary in the population.

    ranking: one scope of the table, in order. Returns its rows, with a column `group`: `top` or `random`.
    """
    varying = ranking[ranking["std"] > 0].reset_index(drop=True)
    others = np.arange(min(count, len(varying)), len(varying))
    drawn = np.sort(random.choice(others, min(count, len(others)), replace=False))
    top = varying.iloc[:count].assign(group="top")
    return pd.concat([top, varying.iloc[drawn].assign(group="random")], ignore_index=True)


def tabulate_histograms(values: dict[str, Columns], well: np.ndarray, chosen: pd.DataFrame, bins: int) -> pd.DataFrame:
    """Histograms of well- and misclassified samples with their Kolmogorov-Smirnov statistic, one row per bin.

    values: name of a row of the figure -> its columns.  well: [N] bool.  chosen: of `choose_dimensions`.  Shares add up
    to 1 in each histogram.
    """
    blocks = []
    for name, columns in values.items():
        own = columns(chosen["dimension"].to_numpy(np.int64))
        for place, row in enumerate(chosen[["group", "dimension", "rank", "layer"]].to_dict("records")):
            column = own[:, [place]].astype(np.float64)
            edges = np.histogram_bin_edges(column, bins)
            counts = [np.histogram(column[kind, 0], edges)[0] for kind in (well, ~well)]
            block = {
                "values": name,
                **row,
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
