"""What the stage reports: shares of the verdicts, what the auditor confirms, and how much of it lies far out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, TRUE_FAILURE, VERDICTS
from failure_atlas.statistics.estimates import decide, proportion
from stages.judge_failures.claims import CORNER_CASE, POPULATION

CONFIRMED_BAR = 0.9  # share of the search's true failures that the auditor is to confirm


def share_verdicts(failures: pd.DataFrame) -> dict[str, Any]:
    """Share of each verdict with its interval."""
    return {
        f"{verdict.replace(' ', '_')}_share": proportion((failures["verdict"] == verdict).to_numpy())
        for verdict in VERDICTS
    }


def share_confirmed(true_failures: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Share of true failures on which the auditor sees the meant class: most of all classes, or with confidence."""
    return {
        "confirmed_true_failure_share": proportion(true_failures["auditor_confirms"].to_numpy(bool)),
        "strictly_confirmed_true_failure_share": proportion(
            (true_failures["auditor_probability"] >= confidence).to_numpy(bool)
        ),
    }


def share_far_out(failures: pd.DataFrame) -> dict[str, Any]:
    """Share that lies far out, in S, in realism, or either."""
    return {f"{name}_share": proportion(failures[name].to_numpy(bool)) for name in FAR_OUT}


FAR_OUT = ("far_out", "far_out_in_s", "far_out_in_realism")


def summarize_source(failures: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Figures of the claimed failures of one source.

    All shares of verdicts are of all claims, those that the classifier still gets right among them.  label_kept_share:
    the claims whose image the judge reads as meant, whatever the classifier says.
    """
    right = failures[failures["verdict"] == TRUE_FAILURE]
    near, real = failures[~failures["far_out"].astype(bool)], failures[~failures["far_out_in_realism"].astype(bool)]
    return {
        "claimed_failures": len(failures),
        "misclassified_share": proportion(failures["misclassified"].to_numpy(bool)),
        **share_verdicts(failures),
        "label_kept_share": proportion((failures["reading"] == LABEL_KEPT).to_numpy()),
        **share_confirmed(right, confidence),
        **share_far_out(failures),
        "true_failure_share_not_far_out": proportion((near["verdict"] == TRUE_FAILURE).to_numpy()),
        "true_failure_share_not_far_out_in_realism": proportion((real["verdict"] == TRUE_FAILURE).to_numpy()),
    }


def summarize_failures(
    failures: pd.DataFrame, found: pd.DataFrame, class_names: Sequence[str], confidence: float
) -> dict[str, Any]:
    """All figures but those of real images.

    failures: the claims of both sources.  found: the true failures of the search.  Figures at the top are of all claims
    together, except that the confirmed shares are of what the search found. Corner cases share starts and dimensions,
    so their intervals, made for independent ones, are on the narrow side.
    confirmed_true_failure_verdict: on the bar, by the whole interval; the point may meet it and decide nothing.
    """
    sources = {name: failures[failures["source"] == name] for name in (POPULATION, CORNER_CASE)}
    confirmed = share_confirmed(found, confidence)
    share = confirmed["confirmed_true_failure_share"]
    whole = {name: entry for name, entry in summarize_source(failures, confidence).items() if name not in confirmed}
    return {
        **whole,
        **confirmed,
        "confirmed_true_failure_bar": CONFIRMED_BAR,
        "confirmed_true_failure_point_meets_bar": bool(share["value"] >= CONFIRMED_BAR) if share["n"] else None,
        "confirmed_true_failure_verdict": decide(share, CONFIRMED_BAR),
        "population": summarize_source(sources[POPULATION], confidence),
        "corner_cases": summarize_source(sources[CORNER_CASE], confidence),
        "true_failure_search": {"found": len(found), **share_far_out(found)},
        "per_class": {name: share_verdicts(failures[failures["class"] == name]) for name in class_names},
    }


def summarize_real(real: pd.DataFrame, wrong: np.ndarray) -> dict[str, Any]:
    """Verdicts on the real test images that the classifier gets wrong; wrong: [N] bool, of all test images.

    Nobody moved these images, so `label changed` is the judge's own error (or a wrong label in the data set). They are
    the hard ones, as claimed failures are: the judge errs less often on the test set as a whole.
    """
    return {
        "judge_false_alarm_share": proportion((real["verdict"] == LABEL_CHANGED).to_numpy()),
        "real_images": {"misclassified_share": proportion(wrong), **share_verdicts(real)},
    }


def tell_failures(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    share, alarm = metrics["true_failure_share"], metrics["judge_false_alarm_share"]
    confirmed, found = metrics["confirmed_true_failure_share"], metrics["true_failure_search"]["found"]
    auditor = f"the auditor confirms {confirmed['value']:.0%} of them" if found else "none for the auditor to confirm"
    return (
        f"{share['n']} claimed failures, {_percent(share)} of them true, "
        f"{_percent(metrics['still_right_share'])} not misclassified yet; the search found {found} true failures, "
        f"{auditor}; false alarms of the judge on real images {_percent(alarm)}"
    )


def _percent(share: dict[str, Any]) -> str:
    return f"{share['value']:.0%} ({share['low']:.0%} to {share['high']:.0%})" if share["n"] else "unknown (none)"
