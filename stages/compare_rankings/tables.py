"""The comparison as tables: one row per cell, one row per method, one row per dimension."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import TRUE_FAILURE, VERDICTS
from failure_atlas.statistics.estimates import proportion
from failure_atlas.stylegan2.generator import StyleLayer
from stages.common.artefacts.names import Names
from stages.common.artefacts.ranking import GLOBAL
from stages.compare_rankings.draws import estimate
from stages.compare_rankings.methods import Method
from stages.compare_rankings.paired import compare_paired
from stages.compare_rankings.shifts import Cell, Outcome
from stages.compare_rankings.walks import CoarseWalks

LIMITS_STD = (5, 10, 20)
UNMOVED = "unmoved"
UNKNOWN = {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}


def tabulate_cells(methods: Sequence[Method], outcomes: Mapping[Cell, Outcome], unmoved: Outcome) -> pd.DataFrame:
    """Accuracy and mean true-class probability after each shift, with intervals; the unmoved samples come first."""
    rows = [{"method": UNMOVED, "budget": "", "k": 0, "shift_std": 0.0, **_describe(unmoved, 1)}]
    by_label = {method.label: method for method in methods}
    for (label, k, shift), outcome in outcomes.items():
        method = by_label[label]
        own = _describe(outcome, method.draws)
        rows.append({"method": method.name, "budget": method.budget, "k": k, "shift_std": shift, **own})
    return pd.DataFrame(rows)


def tabulate_methods(
    methods: Sequence[Method],
    headline: Mapping[str, Outcome],
    walks: Mapping[str, CoarseWalks],
    reference: str,
    resamples: np.ndarray,
    max_shift_std: int,
) -> pd.DataFrame:
    """Cost, headline cell and walks of each method; intervals of a random method are over its draws.

    headline: label -> outcome of the headline cell, with verdicts.
    walks: label -> walks from the class means that have any.  reference: label of the method that all are compared
    with.  true_failure_share: of all samples, those that the classifier gets wrong after the move while the judge still
    sees the true class. walk_true_failure_share: the same of the walks that reached 0.50, where they first did.
    """
    rows = []
    for method in methods:
        own, other = headline[method.label], headline[reference]
        if own.verdict is None:
            raise ValueError(f"{method.label}: the judge was not asked")
        walk = walks[method.label]
        reached = np.isfinite(walk.reached_std)
        row: dict[str, Any] = {
            "method": method.name,
            "budget": method.budget,
            "samples": method.samples,
            "forward_passes": method.forward_passes,
            "directions": method.steps.shape[1],
            "draws": method.draws,
            **_describe(own, method.draws),
            **_spread("true_failure_share", estimate(own.verdict == VERDICTS.index(TRUE_FAILURE), method.draws)),
        }
        for measure, first, second in (
            ("probability", own.probability, other.probability),
            ("accuracy", own.correct, other.correct),
        ):
            row |= _spread(f"{measure}_minus_attfind", compare_paired(first, second, resamples, method.draws))
        row |= {
            "walks": reached.size,
            "walks_reached": int(reached.sum()),
        }
        for limit in LIMITS_STD:
            share = proportion(walk.reached_std <= limit) if limit <= max_shift_std else UNKNOWN
            row |= _spread(f"reached_within_{limit}_std", share)
        true_failures = proportion(walk.verdict[reached] == VERDICTS.index(TRUE_FAILURE))
        rows.append(row | _spread("walk_true_failure_share", true_failures))
    return pd.DataFrame(rows)


def tabulate_influence(layout: Sequence[StyleLayer], words: Names, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per style dimension, in the order of s; columns: name -> [D], `effect` among them.

    name: what a move that lowers the true-class softmax does to the image, `not named` where nobody measured it.
    """
    layers = [layer for layer in layout for _ in range(layer.channels)]
    named = {
        "dimension": np.arange(len(layers)),
        "layer": [layer.name for layer in layers],
        "kind": [layer.kind for layer in layers],
        "name": words.name_rows([GLOBAL] * len(layers), range(len(layers)), list(-np.sign(columns["effect"]))),
    }
    return pd.DataFrame(named | dict(columns))


def _describe(outcome: Outcome, draws: int) -> dict[str, Any]:
    """Both measures of one cell; n: the samples that each of them rests on; draws: of the method."""
    accuracy, probability = estimate(outcome.correct, draws), estimate(outcome.probability, draws)
    return _spread("accuracy", accuracy) | _spread("probability", probability) | {"n": accuracy["n"]}


def _spread(name: str, estimate: Mapping[str, Any]) -> dict[str, Any]:
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}
