"""Estimates and correlations as tables, and the headline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.statistics.estimates import decide
from failure_atlas.statistics.rank_correlation import (
    COEFFICIENTS,
    bootstrap_classifiers,
    bound_replicates,
    bound_small_sample,
)
from stages.validate_externally.conditions import CORRUPTED
from stages.validate_externally.measures import DISTANCE, MEASURES

Estimates = Mapping[str, Mapping[str, dict[str, Any]]]  # classifier -> measure or condition -> {value, low, high, n}


def tabulate_estimates(generated: Estimates, real: Estimates) -> pd.DataFrame:
    """One row per classifier and measure: classifier, side (generated | real), measure, value, low, high, n."""
    rows = [
        {"classifier": classifier, "side": side, "measure": measure, **estimate}
        for classifier in generated
        for side, estimates in (("generated", generated[classifier]), ("real", real[classifier]))
        for measure, estimate in estimates.items()
    ]
    return pd.DataFrame(rows, columns=["classifier", "side", "measure", "value", "low", "high", "n"])


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
    measures = _values(generated, MEASURES)
    accuracies = _values(real, conditions)
    tables = []
    for name, correlate in COEFFICIENTS.items():
        value = correlate(measures, accuracies)
        drawn = bootstrap_classifiers(correlate, measures, accuracies, len(real_replicates), random)
        columns = {
            "value": value,
            **_bound("", bound_replicates(drawn)),
            **_bound("sample_", bound_replicates(correlate(generated_replicates, real_replicates))),
            **_bound("small_sample_", bound_small_sample(name, value, len(generated))),
        }
        table = pd.DataFrame({column: values.ravel() for column, values in columns.items()})
        table.insert(0, "coefficient", name)
        table.insert(1, "measure", np.repeat(MEASURES, len(conditions)))
        table.insert(2, "condition", np.tile(conditions, len(MEASURES)))
        tables.append(table.assign(n=len(generated)))
    return pd.concat(tables, ignore_index=True)


def summarize_correlations(correlations: pd.DataFrame, bar: float) -> dict[str, Any]:
    """The headline with its three intervals, the verdict on every measure against the bar, and both coefficients.

    The headline is the area under the paper's own curve, accuracy against observed distance (3.3, figure 6), which is
    `area` in compute_curves. A verdict rests on the bootstrap over classifiers: `holds` if all of it reaches the bar,
    `fails` if none does.
    """
    headline = find_correlation(correlations, "spearman", DISTANCE, CORRUPTED)
    kinds = {"": "", "_by_samples": "sample_", "_small_sample": "small_sample_"}
    metrics: dict[str, Any] = {f"external_validity{suffix}": _pick(headline, kind) for suffix, kind in kinds.items()}
    metrics["bar"] = bar
    metrics["verdict"] = decide(headline, bar)
    metrics["verdicts"] = {
        measure: decide(find_correlation(correlations, "spearman", measure, CORRUPTED), bar) for measure in MEASURES
    }
    for name in COEFFICIENTS:
        rows = {measure: find_correlation(correlations, name, measure, CORRUPTED) for measure in MEASURES}
        metrics[name] = {measure: _pick(row, "") for measure, row in rows.items()}
    return metrics


def find_correlation(correlations: pd.DataFrame, coefficient: str, measure: str, condition: str) -> dict[str, Any]:
    """One row of `tabulate_correlations`."""
    wanted = {"coefficient": coefficient, "measure": measure, "condition": condition}
    chosen = (correlations[list(wanted)] == pd.Series(wanted)).all(axis=1)
    (row,) = correlations[chosen].to_dict("records")
    return {str(column): value for column, value in row.items()}


def _values(estimates: Estimates, names: Sequence[str]) -> np.ndarray:
    return np.array([[of_one[name]["value"] for of_one in estimates.values()] for name in names])


def _bound(prefix: str, bounds: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}low": bounds[0], f"{prefix}high": bounds[1]}


def _pick(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"value": row["value"], "low": row[f"{kind}low"], "high": row[f"{kind}high"], "n": row["n"]}
