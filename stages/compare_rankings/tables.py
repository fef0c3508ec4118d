"""The comparison as tables: a row per cell, per method, per dimension; and as metrics: the best against AttFind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.judges.verdicts import TRUE_FAILURE, VERDICTS
from failure_atlas.ranking import held_out
from failure_atlas.ranking.held_out import Cell, CoarseWalks, Outcome
from failure_atlas.ranking.methods import ATTFIND, GRADIENTS, Method
from failure_atlas.statistics.agreement import correlate_ranks, share_top
from failure_atlas.statistics.estimates import mean, proportion
from failure_atlas.statistics.survival import share_within
from stages.common.artefacts.population import tabulate_styles
from stages.common.artefacts.ranking import GLOBAL, SCORE_BY
from stages.common.artefacts.walks import Opened
from stages.compare_rankings.study import Moved

LIMITS_STD = (5, 10, 20)
TOLERANCE = 0.01  # of the largest score: two ways to the same gradient differ by rounding only
UNMOVED, FAILURE = "unmoved", VERDICTS.index(TRUE_FAILURE)
MEASURES = {"probability": "probability", "accuracy": "correct"}  # in tables -> of an outcome


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
            **_spread("true_failure_share", held_out.estimate(own.verdict == FAILURE, method.draws)),
        }
        for measure, column in MEASURES.items():
            pair = getattr(own, column), getattr(other, column)
            row |= _spread(f"{measure}_minus_attfind", held_out.compare_paired(*pair, resamples, method.draws))
        row |= {"walks": reached.size, "walks_reached": int(reached.sum())}
        for limit, share in share_within(walk.reached_std, reached, LIMITS_STD, max_shift_std).items():
            row |= _spread(f"reached_within_{limit}_std", share)
        true_failures = proportion(walk.verdict[reached] == FAILURE)
        rows.append(row | _spread("walk_true_failure_share", true_failures))
    return pd.DataFrame(rows)


def tabulate_influence(opened: Opened, columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per style dimension, in the order of s; columns: name -> [D], `effect` among them.

    name: what a move that lowers the true-class softmax does to the image, `not named` where nobody measured it.
    """
    table = tabulate_styles(opened.generator.style_layout())[["dimension", "layer", "kind"]]
    names = opened.words.name_rows([GLOBAL] * len(table), table["dimension"], -np.sign(columns["effect"]))
    return table.assign(name=names, **columns)


def summarize_comparison(
    methods: Sequence[Method],
    headline: Mapping[str, Outcome],
    moved: Moved,
    resamples: np.ndarray,
    margin: float,
) -> dict[str, Any]:
    """Figures of the headline cell, and where AttFind leads.

    margin: accuracy by which the best gradient score may lag behind AttFind and still be no worse; the verdict is
    `judge_no_worse`'s. `at_least_equals` compares the two accuracies as they stand; `beats` is 1 if the whole 95 %
    interval of the difference in mean true-class probability lies below 0.
    """
    measured = {
        measure: {label: getattr(outcome, column) for label, outcome in headline.items()}
        for measure, column in MEASURES.items()
    }
    minus = {
        f"{name}_minus_attfind_{measure}": held_out.compare_paired(own[label], own[moved.attfind], resamples)
        for name, label in (("best_gradient", moved.best), ("best_gradient_full", moved.best_full))
        for measure, own in measured.items()
    }
    difference, accuracy = (minus[f"best_gradient_minus_attfind_{measure}"] for measure in MEASURES)
    cost = {method.label: method.forward_passes for method in methods}
    passes, attfind_passes = cost[moved.best], cost[moved.attfind]
    return minus | {
        "held_out_samples": len(moved.unmoved.correct),
        "unmoved_accuracy": proportion(moved.unmoved.correct),
        "unmoved_probability": mean(moved.unmoved.probability),
        "best_gradient_score": moved.best,
        "best_gradient_score_full": moved.best_full,
        "attfind_variant": moved.attfind,
        "best_gradient_no_worse_than_attfind": held_out.judge_no_worse(accuracy, margin),
        "attfind_margin": margin,
        "best_gradient_at_least_equals_attfind": int(accuracy["value"] <= 0),
        "best_gradient_beats_attfind": int(difference["high"] < 0),
        "best_gradient_forward_passes": passes,
        "attfind_forward_passes": attfind_passes,
        "forward_pass_ratio": attfind_passes / passes,
        **{
            f"headline_{measure}": {m.label: held_out.estimate(own[m.label], m.draws) for m in methods}
            for measure, own in measured.items()
        },
        "attfind_leads": list_attfind_leads(moved.outcomes, GRADIENTS, ATTFIND[0], resamples),
    }


def list_attfind_leads(
    outcomes: Mapping[Cell, Outcome], gradients: Sequence[str], reference: str, resamples: np.ndarray
) -> list[dict[str, Any]]:
    """The cells in which AttFind leaves a lower mean true-class probability than every gradient score does.

    gradients, reference: labels of the gradient scores and of AttFind; cells that lack one of them are passed over.
    Each entry: k, shift_std, the best gradient score there, and its probability minus AttFind's {value, low, high, n}.
    """
    leads = []
    for k, shift in dict.fromkeys((k, shift) for _, k, shift in outcomes):
        own = {label: outcomes[label, k, shift] for label in (*gradients, reference) if (label, k, shift) in outcomes}
        if len(own) <= len(gradients):
            continue
        best = held_out.choose_best(gradients, own)
        difference = held_out.compare_paired(own[best].probability, own[reference].probability, resamples)
        if difference["value"] > 0:
            lead = {"k": k, "shift_std": shift, "best_gradient_score": best}
            leads.append(lead | {"probability_minus_attfind": difference})
    return leads


def tell_slopes(told: Mapping[str, Any]) -> str:
    """What figures say of the slopes where they are no gradients; told: of `Slopes`, empty for gradients."""
    if not told:
        return ""
    return f"gradients by finite differences: h = {told['score_step_std']:g} std, {told['score_samples']} samples"


def tell_comparison(metrics: Mapping[str, Any]) -> str:
    """The main figures in one line for the log."""
    difference = metrics["best_gradient_minus_attfind_probability"]
    return (
        f"{metrics['best_gradient_score']} against {metrics['attfind_variant']}, {metrics['forward_pass_ratio']:.0f} "
        f"times as many forward passes: difference of mean true-class softmax {difference['value']:+.3f} "
        f"[{difference['low']:+.3f}, {difference['high']:+.3f}] on {difference['n']} held-out samples; "
        f"no worse by more than {metrics['attfind_margin']:g} in accuracy: "
        f"{metrics['best_gradient_no_worse_than_attfind']}; "
        f"{metrics['influential_dimensions']['value']} of {metrics['style_dimensions']} dimensions are influential"
    )


def check_agreement(path: Path, ranking: pd.DataFrame, score: np.ndarray, *, whole: bool) -> dict[str, Any]:
    """Agreement of the paper's score [D] with the ranking of rank_dimensions: overlap of the top 10, Spearman.

    whole: whether both should rest on the same gradients; the scores must then be equal but for rounding.
    Raises StageError if they are not, or rank another number of dimensions.
    """
    block = ranking[ranking["scope"] == GLOBAL].sort_values("dimension")
    if not np.array_equal(block["dimension"], np.arange(len(score))):
        raise StageError(
            f"{path}: ranks {len(block)} dimensions, the generator has {len(score)}; make it with: dvc repro "
            "rank_dimensions"
        )
    other = block["score"].to_numpy(np.float64)
    gap, largest = float(np.abs(other - score).max()), float(np.abs(score).max())
    if whole and SCORE_BY not in ranking and gap > TOLERANCE * largest:
        raise StageError(
            f"{path}: its scores are up to {gap:.3g} off this classifier's, the largest of which is {largest:.3g}; "
            "make it again with: dvc repro rank_dimensions"
        )
    return {
        "paper_top10_shared_with_rank_dimensions": float(share_top(score, other)),
        "paper_spearman_with_rank_dimensions": float(correlate_ranks(score, other)),
    }


def _describe(outcome: Outcome, draws: int) -> dict[str, Any]:
    """Both measures of one cell; n: the samples that each of them rests on; draws: of the method."""
    accuracy, probability = held_out.estimate(outcome.correct, draws), held_out.estimate(outcome.probability, draws)
    return _spread("accuracy", accuracy) | _spread("probability", probability) | {"n": accuracy["n"]}


def _spread(name: str, estimate: Mapping[str, Any]) -> dict[str, Any]:
    return {name: estimate["value"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}
