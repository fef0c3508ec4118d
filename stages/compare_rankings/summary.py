"""What the stage reports of the comparison: the best gradient score against AttFind, and what each of them cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stages.common.intervals import mean, proportion
from stages.compare_rankings.methods import Method, find_method
from stages.compare_rankings.paired import compare_paired
from stages.compare_rankings.shifts import Outcome


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
) -> dict[str, Any]:
    """Figures of the headline cell.

    best, best_full: labels of the gradient scores to report, at the small and at the full budget; reference: AttFind's.
    All three must have been chosen on other samples than those measured here, or the best would be so by luck.
    `equals` is 1 unless the 95 % interval of the difference lies above 0, that is unless AttFind lowers the mean
    true-class probability further than chance explains; `beats` is 1 if the interval lies below 0.
    """
    own, full, other = (headline[label] for label in (best, best_full, reference))
    difference = compare_paired(own.probability, other.probability, resamples)
    passes = find_method(methods, best).forward_passes
    reference_passes = find_method(methods, reference).forward_passes
    return {
        "held_out_samples": len(unmoved.correct),
        "unmoved_accuracy": proportion(unmoved.correct),
        "unmoved_probability": mean(unmoved.probability),
        "best_gradient_score": best,
        "best_gradient_score_full": best_full,
        "attfind_variant": reference,
        "best_gradient_equals_attfind": int(difference["low"] <= 0),
        "best_gradient_beats_attfind": int(difference["high"] < 0),
        "best_gradient_minus_attfind_probability": difference,
        "best_gradient_minus_attfind_accuracy": compare_paired(own.correct, other.correct, resamples),
        "best_gradient_full_minus_attfind_probability": compare_paired(full.probability, other.probability, resamples),
        "best_gradient_full_minus_attfind_accuracy": compare_paired(full.correct, other.correct, resamples),
        "best_gradient_forward_passes": passes,
        "attfind_forward_passes": reference_passes,
        "forward_pass_ratio": reference_passes / passes,
        "headline_probability": {method.label: mean(headline[method.label].probability) for method in methods},
        "headline_accuracy": {method.label: proportion(headline[method.label].correct) for method in methods},
    }


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
        f"{metrics['influential_dimensions']['value']} of {metrics['style_dimensions']} dimensions are influential"
    )
