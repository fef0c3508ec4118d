"""What the stage reports: how many walks arrive, how far they go, and how many of them meet a true failure."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS
from failure_atlas.statistics.estimates import NAN, flatten, proportion
from failure_atlas.statistics.survival import find_median, share_within
from failure_atlas.walks.crossing import LEVEL
from failure_atlas.walks.starts import MEAN, average_draws

LIMITS_STD = (5, 10, 20)


def summarize(corner_cases: pd.DataFrame, starts: pd.DataFrame, max_shift_std: float) -> dict[str, Any]:
    """Figures of the walks from class means, and under `from_samples` of those from samples where there are any.

    The former are means over `noise_draws` draws of each mean's noise, see `average_draws`; largest_end_error is the
    largest of all.
    """
    mean, begun = corner_cases["start"] == MEAN, starts["start"] == MEAN
    draws = sorted(set(starts.loc[begun, "noise_draw"]))

    def summarize_draw(draw: int) -> dict[str, Any]:
        walks, own = mean & (corner_cases["noise_draw"] == draw), begun & (starts["noise_draw"] == draw)
        return summarize_walks(corner_cases[walks], starts[own], max_shift_std)

    summary: dict[str, Any] = average_draws([summarize_draw(draw) for draw in draws])
    summary |= {"noise_draws": len(draws), "largest_end_error": _measure_end_error(corner_cases[mean])}
    if begun.all():
        return summary
    return summary | {"from_samples": summarize_walks(corner_cases[~mean], starts[~begun], max_shift_std)}


def summarize_walks(corner_cases: pd.DataFrame, starts: pd.DataFrame, max_shift_std: float) -> dict[str, Any]:
    """Figures of a set of walks and of the starts they came from.

    corner_cases: as `add_readings` leaves it.
    Shares are of all walks; a share within more stds than were tried is unknown (NaN). Unreached walks count as longer
    than they were followed in the median, which is infinite if they are the majority; so do walks without a true
    failure in the median shift of true failures.
    true_failure_walks: share of all walks that meet a true failure, at 0.50 or beyond. How many of the crossings
    themselves are true failures is judge_failures' `corner_cases.true_failure_share`: shares of that name are of the
    images that were judged; how many of those found people are expected to read, `true_failure_search.readable_share`
    there.  readings: of the walks at 0.50, shares by what the judge reads there, whether or not the
    classifier is wrong already.
    Walks share starts and networks, so the intervals, made for independent walks, are on the narrow side.
    """
    reached, distance = corner_cases["reached"].to_numpy(bool), corner_cases["shift_std"].to_numpy(float)
    failed = corner_cases["true_failure"].to_numpy(bool)
    # A walk without a true failure was followed to the end.
    failed_at = corner_cases["true_failure_shift_std"].fillna(max_shift_std).to_numpy(float)
    misclassified = (corner_cases["predicted_class"] != corner_cases["class"]).to_numpy(bool)
    summary: dict[str, Any] = {
        "walks": len(corner_cases),
        "reached": int(np.count_nonzero(reached)),
        "starts": len(starts),
        "starts_in_doubt": int((~starts["walked"]).sum()),
        "skipped_no_effect": int(starts["skipped_no_effect"].sum()),
        "max_shift_std": max_shift_std,
        "misclassified_at_end": proportion(misclassified[reached]),
        "largest_end_error": _measure_end_error(corner_cases),
        **flatten("median_shift_std", find_median(distance, reached)),
        **flatten("true_failure_median_shift_std", find_median(failed_at, failed)),
        "true_failure_walks": proportion(failed),
    }
    for limit, share in share_within(distance, reached, LIMITS_STD, max_shift_std).items():
        summary |= flatten(f"reached_within_{limit}_std", share)
    at_level = corner_cases[reached]
    summary["readings"] = _share_readings(at_level["reading"])
    summary["readings_by_class"] = {
        name: _share_readings(at_level.loc[at_level["class"] == name, "reading"]) for name in starts["class"].unique()
    }
    return summary


def _measure_end_error(corner_cases: pd.DataFrame) -> float:
    """How far the softmax at the end of a walk that reached 0.50 lies from it at most; NaN of none.

    To six decimals, as the table holds it: beyond these, a softmax of float32 logits is rounding.
    """
    ends = corner_cases.loc[corner_cases["reached"].astype(bool), "end_probability"]
    return float((ends - LEVEL).abs().max().round(6)) if len(ends) else NAN


def _share_readings(readings: pd.Series) -> dict[str, Any]:
    return {reading.replace(" ", "_"): proportion((readings == reading).to_numpy(bool)) for reading in READINGS}


def tell_walks(summary: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    median = f"{summary['median_shift_std']:.1f} std"
    if not np.isfinite(summary["median_shift_std"]):
        median = f"beyond the {summary['max_shift_std']:g} std tried (fewer than half reached)"
    return (
        f"{summary['walks']} walks, {summary['reached']} reached 0.50; median shift {median}; "
        f"{summary['skipped_no_effect']} dimensions without effect skipped, {summary['starts_in_doubt']} of "
        f"{summary['starts']} starts at 0.50 or less and not walked; "
        f"{summary['true_failure_walks']['value']:.0%} of the walks meet a true failure"
    )
