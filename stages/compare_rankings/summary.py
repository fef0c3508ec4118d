"""What the stage reports of the comparison: the best gradient score against AttFind, and what each of them cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from failure_atlas.statistics.estimates import mean, proportion
from stages.compare_rankings.draws import estimate
from stages.compare_rankings.methods import Method, find_method
from stages.compare_rankings.paired import compare_paired, judge_no_worse
from stages.compare_rankings.shifts import Cell, Outcome


def choose_best(labels: Iterable[str], outcomes: Mapping[str, Outcome]) -> str:
    """The label whose move leaves the lowest mean true-class probability; the first of equals."""
    return min(labels, key=lambda label: float(outcomes[label].probability.mean()))


def summarize_comparison(
    methods: Sequence[Method],
    headline: Mapping[str, Outcome],
    unmoved: Outcome,
    best: str,
    best_full: str,
    reference: str,
    resamples: np.ndarray,
    margin: float,
) -> dict[str, Any]:
    """Figures of the headline cell.

    best, best_full: labels of the gradient scores to report, at the small and at the full budget; reference: AttFind's.
    All three must have been chosen on other samples than those measured here, or the best would be so by luck.
    margin: accuracy by which the first may lag behind AttFind and still be no worse; the verdict is `judge_no_worse`'s.
    `at_least_equals` compares the two accuracies as they stand; `beats` is 1 if the whole 95 % interval of the
    difference in mean true-class probability lies below 0.
    """
    own, full, other = (headline[label] for label in (best, best_full, reference))
    difference = compare_paired(own.probability, other.probability, resamples)
    accuracy = compare_paired(own.correct, other.correct, resamples)
    passes = find_method(methods, best).forward_passes
    reference_passes = find_method(methods, reference).forward_passes
    return {
        "held_out_samples": len(unmoved.correct),
        "unmoved_accuracy": proportion(unmoved.correct),
        "unmoved_probability": mean(unmoved.probability),
        "best_gradient_score": best,
        "best_gradient_score_full": best_full,
        "attfind_variant": reference,
        "best_gradient_no_worse_than_attfind": judge_no_worse(accuracy, margin),
        "attfind_margin": margin,
        "best_gradient_at_least_equals_attfind": int(accuracy["value"] <= 0),
        "best_gradient_beats_attfind": int(difference["high"] < 0),
        "best_gradient_minus_attfind_probability": difference,
        "best_gradient_minus_attfind_accuracy": accuracy,
        "best_gradient_full_minus_attfind_probability": compare_paired(full.probability, other.probability, resamples),
        "best_gradient_full_minus_attfind_accuracy": compare_paired(full.correct, other.correct, resamples),
        "best_gradient_forward_passes": passes,
        "attfind_forward_passes": reference_passes,
        "forward_pass_ratio": reference_passes / passes,
        "headline_probability": {m.label: estimate(headline[m.label].probability, m.draws) for m in methods},
        "headline_accuracy": {m.label: estimate(headline[m.label].correct, m.draws) for m in methods},
    }


def list_attfind_leads(
    outcomes: Mapping[Cell, Outcome], gradients: Iterable[str], reference: str, resamples: np.ndarray
) -> list[dict[str, Any]]:
    """The cells in which AttFind leaves a lower mean true-class probability than every gradient score does.

    gradients, reference: labels of the gradient scores and of AttFind; cells that lack one of them are passed over.
    Each entry: k, shift_std, the best gradient score there, and its probability minus AttFind's {value, low, high, n}.
    """
    rivals = list(gradients)
    leads = []
    for cell in dict.fromkeys((k, shift) for _, k, shift in outcomes):
        if not all((label, *cell) in outcomes for label in (*rivals, reference)):
            continue
        own = {label: outcomes[label, *cell] for label in (*rivals, reference)}
        best = choose_best(rivals, own)
        difference = compare_paired(own[best].probability, own[reference].probability, resamples)
        if difference["value"] > 0:
            k, shift = cell
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
