"""What the stage reports: how well the classifier does on the population and how far the ranking can be trusted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.ranking import histograms
from failure_atlas.ranking.scores import PopulationScores
from failure_atlas.statistics.agreement import HalfMeans, correlate_ranks, share_direction, share_top
from failure_atlas.statistics.estimates import flatten, proportion
from stages.common.artefacts.ranking import GLOBAL

SATURATED = 0.99
COLUMNS_AT_ONCE = 16
AGREEMENT = {
    "split_half_top10_overlap": (share_top, 0.0),
    "split_half_spearman": (correlate_ranks, -1.0),
    "split_half_direction_agreement": (share_direction, 0.0),
}  # how two rankings agree, and the least that there can be


def summarize_agreement(halves: HalfMeans) -> dict[str, Any]:
    """Agreement of the rankings of two halves, the mean of the halvings with their `_range`, which is no interval.

    `_interval`: the jackknife's (see `HalfMeans.estimate`), by which verdicts are reached.
    `_class_mean`: the same for the rankings of single classes, averaged over the classes. Every half holds half the
    samples, so the ranking of the whole population is steadier than these figures say.
    """
    summary: dict[str, Any] = {}
    for name, (measure, least) in AGREEMENT.items():
        summary |= flatten(name, halves.estimate(measure, least)) | {f"{name}_range": halves.spread(measure)}
        summary[f"{name}_class_mean"] = measure(*halves.means()).mean()
    return summary


def summarize_outputs(logits: np.ndarray, true_class: np.ndarray) -> dict[str, Any]:
    """Accuracy on the population, and how often the true-class softmax is all but 1 and its gradient all but 0."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    probability = (odds / odds.sum(axis=1, keepdims=True))[np.arange(len(logits)), true_class]
    return {
        "population_accuracy": proportion(logits.argmax(axis=1) == true_class),
        "saturated_share": proportion(probability > SATURATED),
    }


def tabulate_classes(
    well: np.ndarray, true_class: np.ndarray, halves: HalfMeans, class_names: Sequence[str]
) -> pd.DataFrame:
    """Accuracy with its Wilson interval and agreement of the halves' rankings, one row per class.

    well: [N] bool.  true_class: [N] int64.
    """
    accuracy = [proportion(well[true_class == index]) for index in range(len(class_names))]
    columns = {
        "class": list(class_names),
        "samples": [entry["n"] for entry in accuracy],
        "accuracy": [entry["value"] for entry in accuracy],
        "accuracy_low": [entry["low"] for entry in accuracy],
        "accuracy_high": [entry["high"] for entry in accuracy],
    }
    agreement = {name: measure(*halves.means()).mean(axis=0) for name, (measure, _) in AGREEMENT.items()}
    return pd.DataFrame(columns | agreement)


def summarize_mass(
    scores: PopulationScores, class_names: Sequence[str], stream: Callable[..., np.random.Generator]
) -> dict[str, Any]:
    """Share of all |gradient| that the heaviest tenth of the samples carries; of each ranking, its effective n.

    stream: the generator of the named draw.
    """
    share = histograms.bootstrap_mass(histograms.share_top_tenth, scores.gradient_mass, stream("bootstrap"))
    scopes = {GLOBAL: np.ones(len(scores.true_class), bool)}
    scopes |= {name: scores.true_class == label for label, name in enumerate(class_names)}
    effective = {
        scope: histograms.bootstrap_mass(
            histograms.count_effective, scores.gradient_squares[rows], stream("bootstrap", "effective n", scope)
        )
        for scope, rows in scopes.items()
    }
    return flatten("gradient_mass_top_tenth", share) | {"effective_n": effective}


def summarize_separation(
    values: dict[str, histograms.Columns], well: np.ndarray, chosen: pd.DataFrame, dimensions: int
) -> dict[str, Any]:
    """Kolmogorov-Smirnov statistic of well against mis: mean over the top dimensions, median over all of them.

    values: how the styles are seen -> their columns, taken a few at a time.  chosen: of `choose_dimensions`.
    dimensions: D.
    null_95: what equal distributions would stay below.
    """
    top = chosen.loc[chosen["group"] == "top", "dimension"].to_numpy()
    n, m = int(well.sum()), int((~well).sum())
    summary: dict[str, Any] = {"n_well": n, "n_mis": m, "null_95": histograms.bound_null_ks(n, m)}
    for name, columns in values.items():
        parts = (columns(slice(first, first + COLUMNS_AT_ONCE)) for first in range(0, dimensions, COLUMNS_AT_ONCE))
        ks = np.concatenate([histograms.measure_ks(part[well], part[~well]) for part in parts])
        summary[name] = {"top": ks[top].mean(), "median": np.median(ks)}
    return {"well_mis_ks": summary}
