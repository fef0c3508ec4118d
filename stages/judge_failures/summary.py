"""What the stage reports: shares of the verdicts, what the auditor confirms, and how much of it lies far out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.judges.failures import share_verdicts
from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, TRUE_FAILURE
from failure_atlas.statistics.estimates import decide, proportion, read_estimate
from stages.judge_failures.inputs import CORNER_CASE, POPULATION

GROUP_COLUMNS = ["dimension", "layer", "kind", "direction"]
FAR_OUT = ("far_out", "far_out_in_s", "far_out_in_realism")
ENDS = {"value": "", "low": "_low", "high": "_high"}  # of columns
CONFIRMED_BAR = 0.9  # share of the search's true failures that the auditor is to confirm


def tabulate_directions(walks: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Share of each verdict per dimension and direction, one row each, in the order of dimension and direction.

    walks: corner_cases.csv.  failures: the claims; only those of corner cases count.
    name: what it does to the images, in the words of each class, the most frequent first; `not named`: not measured.
    walks: all of that direction, from whatever start.  reached: those that fell to 0.50; the shares are of these.
    """
    own = failures[failures["source"] == CORNER_CASE]
    verdict = pd.Series(own["verdict"].to_numpy(object), own["index"]).reindex(range(len(walks)))
    rows: list[dict[str, Any]] = []
    for key, members in walks.reset_index(drop=True).groupby(GROUP_COLUMNS, sort=True):
        given, names = verdict.loc[members.index].dropna(), members["name"]
        words = names[names != ""].value_counts(sort=True).index
        row = dict(zip(GROUP_COLUMNS, key, strict=True)) | {"name": "; ".join(map(str, words))}
        row |= {"walks": len(members), "reached": len(given)}
        for column, share in _name_shares(given).items():
            row |= {f"{column}{end}": share[part] for part, end in ENDS.items()}
        rows.append(row)
    shares = [f"{name}{end}" for name in _name_shares(verdict) for end in ENDS.values()]
    return pd.DataFrame(rows, columns=[*GROUP_COLUMNS, "name", "walks", "reached", *shares])


def share_confirmed(true_failures: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Share of true failures on which the auditor sees the meant class: most of all classes, or with confidence."""
    sure = true_failures["auditor_probability"] >= confidence
    return {
        "confirmed_true_failure_share": proportion(true_failures["auditor_confirms"].to_numpy(bool)),
        "strictly_confirmed_true_failure_share": proportion(sure.to_numpy(bool)),
    }


def summarize_source(failures: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Figures of the claimed failures of one source.

    All shares of verdicts are of all claims, which have all been judged, those that the classifier still gets right
    among them.  label_kept_share: the claims whose image the judge reads as meant, whatever the classifier says.
    """
    right = failures["verdict"] == TRUE_FAILURE
    near, real = (~failures[name].astype(bool) for name in ("far_out", "far_out_in_realism"))
    return {
        "claimed_failures": len(failures),
        "misclassified_share": proportion(failures["misclassified"].to_numpy(bool)),
        **_name_shares(failures["verdict"]),
        "label_kept_share": proportion((failures["reading"] == LABEL_KEPT).to_numpy()),
        **share_confirmed(failures[right], confidence),
        **_share_far_out(failures),
        "true_failure_share_not_far_out": proportion(right[near].to_numpy()),
        "true_failure_share_not_far_out_in_realism": proportion(right[real].to_numpy()),
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
    population, corner_cases = (failures[failures["source"] == name] for name in (POPULATION, CORNER_CASE))
    confirmed = share_confirmed(found, confidence)
    share = confirmed["confirmed_true_failure_share"]
    return {
        **summarize_source(failures, confidence),
        **confirmed,
        "confirmed_true_failure_bar": CONFIRMED_BAR,
        "confirmed_true_failure_point_meets_bar": bool(share["value"] >= CONFIRMED_BAR) if share["n"] else None,
        "confirmed_true_failure_verdict": decide(share, CONFIRMED_BAR),
        "population": summarize_source(population, confidence),
        "corner_cases": summarize_source(corner_cases, confidence),
        "true_failure_search": {"found": len(found), **_share_far_out(found)},
        "per_class": {name: _name_shares(failures.loc[failures["class"] == name, "verdict"]) for name in class_names},
    }


def summarize_real(real: pd.DataFrame, wrong: np.ndarray) -> dict[str, Any]:
    """Verdicts on the real test images that the classifier gets wrong; wrong: [N] bool, of all test images.

    Nobody moved these images, so `label changed` is the judge's own error (or a wrong label in the data set). They are
    the hard ones, as claimed failures are: the judge errs less often on the test set as a whole.
    """
    return {
        "judge_false_alarm_share": share_verdicts(real["verdict"])[LABEL_CHANGED],
        "real_images": {"misclassified_share": proportion(wrong), **_name_shares(real["verdict"])},
    }


def tell_failures(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    told = {
        "claimed failures: true": "true_failure_share",
        "still right": "still_right_share",
        "true failures of the search: confirmed by the auditor": "confirmed_true_failure_share",
        "false alarms of the judge on real images": "judge_false_alarm_share",
    }
    return "; ".join(f"{words} {read_estimate(metrics[key]).tell()}" for words, key in told.items())


def _name_shares(verdicts: pd.Series) -> dict[str, dict[str, Any]]:
    """Shares of the verdicts under the names of metrics."""
    return {f"{verdict.replace(' ', '_')}_share": share for verdict, share in share_verdicts(verdicts).items()}


def _share_far_out(failures: pd.DataFrame) -> dict[str, Any]:
    """Share that lies far out, in S, in realism, or either."""
    return {f"{name}_share": proportion(failures[name].to_numpy(bool)) for name in FAR_OUT}
