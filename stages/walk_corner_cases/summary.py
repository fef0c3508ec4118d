"""What the stage reports: how many walks arrive, how far they go, and how many of them meet a true failure."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import READINGS
from failure_atlas.statistics.estimates import find_median, proportion
from failure_atlas.walks.walks import LEVEL

LIMITS_STD = (5, 10, 20)


def summarize_walks(corner_cases: pd.DataFrame, starts: pd.DataFrame, max_shift_std: float) -> dict[str, Any]:
    """Figures of a set of walks and of the starts they came from.

    corner_cases: as `add_readings` leaves it.
    Shares are of all walks; a share within more stds than were tried is unknown (NaN). Unreached walks count as longer
    than all others in the median, which is infinite if they are the majority; so do walks without a true failure in
    the median shift of true failures.
    true_failure_walks: share of walks that meet a true failure.  true_failure_share: share of the walks at 0.50 for
    which that very point is one, as in judge_failures (where images in bytes are not asked about).  readings: of the
    walks at 0.50, shares by what the judge reads there, whether or not the classifier is wrong already.
    Walks share starts and networks, so the intervals, made for independent walks, are on the narrow side.
    """
    reached, distance = corner_cases["reached"].to_numpy(bool), corner_cases["shift_std"].to_numpy(float)
    misclassified = (corner_cases["predicted_class"] != corner_cases["class"]).to_numpy(bool)
    summary: dict[str, Any] = {
        "walks": len(corner_cases),
        "reached": int(np.count_nonzero(reached)),
        "starts": len(starts),
        "starts_in_doubt": int((~starts["walked"]).sum()),
        "skipped_no_effect": int(starts["skipped_no_effect"].sum()),
        "max_shift_std": max_shift_std,
        "misclassified_at_end": proportion(misclassified[reached]),
        "largest_end_error": float((corner_cases["end_probability"] - LEVEL)[reached].abs().max()),
    }
    for limit in LIMITS_STD:
        share = proportion(reached & (distance <= limit))
        known = limit <= max_shift_std
        summary[f"reached_within_{limit}_std"] = share["value"] if known else float("nan")
        summary[f"reached_within_{limit}_std_interval"] = {
            "low": share["low"] if known else float("nan"),
            "high": share["high"] if known else float("nan"),
            "n": share["n"],
        }
    failed = corner_cases["true_failure"].to_numpy(bool)
    failure_distance = corner_cases["true_failure_shift_std"].to_numpy(float)
    summary |= _estimate_median("median_shift_std", distance, reached)
    summary |= _estimate_median("true_failure_median_shift_std", failure_distance, failed)
    summary["true_failure_walks"] = proportion(failed)
    # The crossing is the first point tried: where it is a true failure, the two shifts are the same number.
    summary["true_failure_share"] = proportion((failure_distance == distance)[reached])
    at_level = corner_cases[reached]
    summary["readings"] = _share_readings(at_level["reading"])
    summary["readings_by_class"] = {
        name: _share_readings(at_level.loc[at_level["class"] == name, "reading"]) for name in starts["class"].unique()
    }
    return summary


def _estimate_median(name: str, distance: np.ndarray, reached: np.ndarray) -> dict[str, Any]:
    median, low, high = find_median(distance, reached)
    return {name: median, f"{name}_interval": {"low": low, "high": high, "n": len(distance)}}


def _share_readings(readings: pd.Series) -> dict[str, Any]:
    return {reading.replace(" ", "_"): proportion((readings == reading).to_numpy(bool)) for reading in READINGS}


def tell_walks(summary: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    median = summary["median_shift_std"]
    known = np.isfinite(median)
    return (
        f"{summary['walks']} walks, {summary['reached']} reached 0.50; median shift "
        + (
            f"{median:.1f} std"
            if known
            else f"beyond the {summary['max_shift_std']:g} std tried (fewer than half reached)"
        )
        + f"; {summary['skipped_no_effect']} dimensions without effect skipped, {summary['starts_in_doubt']} of "
        f"{summary['starts']} starts at 0.50 or less and not walked; "
        f"{summary['true_failure_walks']['value']:.0%} of the walks meet a true failure"
    )
