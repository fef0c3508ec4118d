"""Metrics and curves with known numbers, of the form that the stages upstream leave."""

from typing import Any

import pandas as pd

NAMES = ("clean", "corrupted")
VERSIONS = ("raw_own_class", "raw_all", "standardised_own_class", "standardised_all")


def build_estimate(value: float, half: float = 0.01, n: int = 1000) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def flatten_estimate(name: str, value: float, half: float = 0.01) -> dict[str, Any]:
    estimate = build_estimate(value, half)
    return {name: estimate.pop("value"), f"{name}_interval": estimate}


def build_metrics() -> dict[str, Any]:
    """Every metric that a claim reads, such that all that can hold holds; by folder."""
    falling = {version: build_estimate(-0.1) for version in VERSIONS}
    ways = {"shift_area": build_estimate(-0.3), "shift_avoidable_area": build_estimate(0.1)}
    curve = {"headline_k": 100, "slope_minus_all": falling, "slope_minus_random": falling, "top_minus_random": ways}
    ahead = ("area", "shift_area", "corrupted_test_accuracy")
    paired = {"corrupted_minus_clean": {key: build_estimate(0.1) for key in ahead}}
    metrics: dict[str, Any] = {
        "curves": dict.fromkeys(NAMES, curve) | {"paired": paired},
        "populations": {
            "outcome_separation": {
                space: build_estimate(value) for space, value in (("z", 0.6), ("w", 0.7), ("s", 0.8))
            },
            "outcome_separation_difference": {pair: build_estimate(0.1) for pair in ("s_minus_w", "w_minus_z")},
        },
    }
    for name in NAMES:
        ks = {"null_95": 0.03, "n_well": 900, "n_mis": 100, "minus_class_mean": {"top": 0.4, "median": 0.02}}
        ks["raw"] = {"top": 0, "median": 0.9}  # which says nothing
        metrics[f"ranked/{name}"] = {"well_mis_ks": ks, **flatten_estimate("split_half_top10_overlap", 0.9)}
        metrics[f"walks/{name}"] = {"reached": 160, "walks": 200, "noise_draws": 2} | flatten_estimate(
            "median_shift_std", 12, 2
        )
        accuracy = 0.985 if name == "corrupted" else 0.8
        metrics[f"classifiers/{name}"] = {
            "clean_test_accuracy": build_estimate(0.98),
            "corrupted_test_accuracy": build_estimate(accuracy),
            "corrupted_half_test_accuracy": build_estimate(accuracy - 0.05),
        }
    return metrics


def build_areas() -> pd.DataFrame:
    """Curves that fall in the top dimensions, and rise in all of them."""
    rows = [
        {
            "classifier": name, "kind": "distance", "scope": "all", "dimensions": "top", "k": k,
            "scaling": scaling, "centre": centre, "trend_p_value": p, "rise_from": 0.6, "rise_to": 0.7,
            "rise_p_value": rise, "n": 990,
        }
        for name in NAMES
        for scaling in ("raw", "standardised")
        for centre in ("own_class", "all")
        for k, p, rise in (("100", 1e-9, 0.5), ("all", 0.3, 1e-4))
    ]  # fmt: skip
    return pd.DataFrame(rows)
