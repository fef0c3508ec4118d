"""What the stage reports: how many walks arrive, how far they go, how many dimensions had no effect."""

from typing import Any

import numpy as np
import pandas as pd

from stages.common.intervals import proportion
from stages.walk_corner_cases.censoring import find_median
from stages.walk_corner_cases.walks import LEVEL

LIMITS_STD = (5, 10, 20)


def summarize_walks(corner_cases: pd.DataFrame, starts: pd.DataFrame, max_shift_std: float) -> dict[str, Any]:
    """Figures of a set of walks and of the starts they came from.

    Shares are of all walks; a share within more stds than were tried is unknown (NaN). Unreached walks count as longer
    than all others in the median, which is infinite if they are the majority. Walks share starts and networks, so the
    intervals, made for independent walks, are on the narrow side.
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
    median, low, high = find_median(distance, reached)
    summary["median_shift_std"] = median
    summary["median_shift_std_interval"] = {"low": low, "high": high, "n": len(corner_cases)}
    return summary


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
        f"{summary['starts']} starts at 0.50 or less and not walked"
    )
