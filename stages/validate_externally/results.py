"""Estimates and correlations as tables, and the headline."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.statistics.estimates import Estimate, decide, read_estimate
from failure_atlas.statistics.rank_correlation import (
    COEFFICIENTS,
    LEAST_CLASSIFIERS,
    bootstrap_classifiers,
    bound_replicates,
    bound_small_sample,
    correlate_spearman,
)
from stages.validate_externally.conditions import CORRUPTED
from stages.validate_externally.measures import ACCURACY, DISTANCE, MEASURES

KEYS = ["coefficient", "measure", "condition"]
Estimates = Mapping[str, Mapping[str, dict[str, Any]]]  # classifier -> measure or condition -> {value, low, high, n}


def tabulate_estimates(generated: Estimates, real: Estimates) -> pd.DataFrame:
    """One row per classifier and measure: classifier, side (generated | real), measure, value, low, high, n."""
    return pd.DataFrame(
        [
            {"classifier": classifier, "side": side, "measure": measure, **estimate}
            for classifier in generated
            for side, estimates in (("generated", generated[classifier]), ("real", real[classifier]))
            for measure, estimate in estimates.items()
        ]
    )


def tabulate_correlations(
    generated: Estimates,
    real: Estimates,
    generated_replicates: np.ndarray,
    real_replicates: np.ndarray,
    random: np.random.Generator,
) -> pd.DataFrame:
    """One row per coefficient, measure and condition.

    generated_replicates: [R, A, K], real_replicates: [R, B, K], of samples drawn again, in the order of the estimates.
    low, high: bootstrap over classifiers.  sample_low, sample_high: bootstrap over samples, classifiers kept.
    small_sample_low, small_sample_high: closed form.  n: number of classifiers.
    """
    conditions = list(next(iter(real.values())))
    measures, accuracies = (
        np.array([[of_one[name]["value"] for of_one in estimates.values()] for name in names])
        for estimates, names in ((generated, MEASURES), (real, conditions))
    )
    tables = []
    for name, correlate in COEFFICIENTS.items():
        value = correlate(measures, accuracies)
        drawn = bootstrap_classifiers(correlate, measures, accuracies, len(real_replicates), random)
        bounds = {
            "": bound_replicates(drawn),
            "sample_": bound_replicates(correlate(generated_replicates, real_replicates)),
            "small_sample_": bound_small_sample(name, value, len(generated)),
        }
        table = pd.MultiIndex.from_product([[name], MEASURES, conditions], names=KEYS).to_frame(index=False)
        table["value"] = value.ravel()
        for kind, (low, high) in bounds.items():
            table[f"{kind}low"], table[f"{kind}high"] = low.ravel(), high.ravel()
        tables.append(table.assign(n=len(generated)))
    return pd.concat(tables, ignore_index=True)


def compare_with_accuracy(
    generated: Estimates, real: Estimates, replicates: int, strong: float, random: np.random.Generator
) -> dict[str, Any]:
    """What each measure adds to plain accuracy on the same generated images: differences of Spearman's correlations.

    With the mean over all corruptions, over classifiers drawn with replacement, the same draw for both: `{value, low,
    high, n}`.  adds_to_accuracy: over all classifiers.  spearman_of_strong: each measure's correlation among those that
    are right on more than `strong` of the real images; adds_to_accuracy_of_strong: the differences there.
    A measure that falls while accuracy rises counts with its sign turned.
    """
    measures = np.array([[of_one[name]["value"] for of_one in generated.values()] for name in MEASURES])
    accuracy = np.array([[of_one[CORRUPTED]["value"] for of_one in real.values()]])
    found: dict[str, Any] = {}
    for suffix, kept in (("", np.full(accuracy.shape[1], True)), ("_of_strong", accuracy[0] > strong)):
        n, pair = int(kept.sum()), (measures[:, kept], accuracy[:, kept])
        if n < LEAST_CLASSIFIERS:
            continue
        value = correlate_spearman(*pair)[:, 0]
        drawn = bootstrap_classifiers(correlate_spearman, *pair, replicates, random)[..., 0]
        if suffix:
            found["spearman_of_strong"] = _name(value, *bound_replicates(drawn), n)
        sign, baseline = np.sign(value), MEASURES.index(ACCURACY)
        difference, low_high = sign * value - value[baseline], bound_replicates(sign * drawn - drawn[:, [baseline]])
        found[f"adds_to_accuracy{suffix}"] = _name(difference, *low_high, n)
        del found[f"adds_to_accuracy{suffix}"][ACCURACY]
    return found


def _name(value: np.ndarray, low: np.ndarray, high: np.ndarray, n: int) -> dict[str, dict[str, Any]]:
    """[A] each, as {measure: {value, low, high, n}}."""
    return {
        name: Estimate(float(value[place]), float(low[place]), float(high[place]), n).as_dict()
        for place, name in enumerate(MEASURES)
    }


def summarize_correlations(correlations: pd.DataFrame, real: Estimates, bar: float) -> dict[str, Any]:
    """The headline with its three intervals, the verdict on every measure against the bar, and both coefficients.

    The headline is the area under the paper's own curve, accuracy against observed distance (3.3, figure 6), which is
    `area` in compute_curves. A verdict rests on the bootstrap over classifiers: `holds` if all of it reaches the bar,
    `fails` if none does.
    """
    headline = find_correlation(correlations, "spearman", DISTANCE, CORRUPTED)
    kinds = {"": "", "_by_samples": "sample_", "_small_sample": "small_sample_"}
    metrics: dict[str, Any] = {f"external_validity{suffix}": _pick(headline, kind) for suffix, kind in kinds.items()}
    averages = [accuracies[CORRUPTED]["value"] for accuracies in real.values()]
    metrics |= {"classifiers": len(real), "real_accuracy_range": [min(averages), max(averages)], "bar": bar}
    metrics["verdict"] = decide(headline, bar)
    metrics["verdicts"] = {
        measure: decide(find_correlation(correlations, "spearman", measure, CORRUPTED), bar) for measure in MEASURES
    }
    for name in COEFFICIENTS:
        rows = {measure: find_correlation(correlations, name, measure, CORRUPTED) for measure in MEASURES}
        metrics[name] = {measure: _pick(row, "") for measure, row in rows.items()}
    return metrics


def tell_headline(metrics: Mapping[str, Any]) -> str:
    """The headline in one line for the log."""
    found, accuracy, added = (
        read_estimate(each).tell()
        for each in (
            metrics["external_validity"], metrics["spearman"][ACCURACY], metrics["adds_to_accuracy"][DISTANCE]
        )
    )  # fmt: skip
    return (
        f"Spearman of distance area with real accuracy over the classifiers: {found}; bar {metrics['bar']:.2f}: "
        f"{metrics['verdict']}; of plain accuracy on generated images: {accuracy}; the area adds {added}"
    )


def find_correlation(correlations: pd.DataFrame, coefficient: str, measure: str, condition: str) -> dict[str, Any]:
    """One row of `tabulate_correlations`."""
    chosen = (correlations[KEYS] == [coefficient, measure, condition]).all(axis=1)
    (row,) = correlations[chosen].to_dict("records")
    return {str(column): value for column, value in row.items()}


def _pick(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"value": row["value"], "low": row[f"{kind}low"], "high": row[f"{kind}high"], "n": row["n"]}
