"""What the stage reports: shares of the verdicts, readable and not, what the auditor confirms, how much is far out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.core.seeds import numpy_stream
from failure_atlas.judges.correction import Record, correct_share
from failure_atlas.judges.failures import ALL, share_verdicts
from failure_atlas.judges.verdicts import LABEL_CHANGED, LABEL_KEPT, TRUE_FAILURE
from failure_atlas.statistics.estimates import decide, mean, proportion, read_estimate
from failure_atlas.walks.starts import average_draws
from stages.judge_failures.examination import READABLE, SURVIVAL
from stages.judge_failures.inputs import CORNER_CASE, POPULATION

GROUP_COLUMNS = ["dimension", "layer", "kind", "direction"]
FAR_OUT = ("far_out", "far_out_in_realism")
ENDS = {"value": "", "low": "_low", "high": "_high"}  # of columns
CONFIRMED_BAR = 0.9  # share of the search's true failures that the auditor is to confirm


def tabulate_directions(walks: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Share of each verdict per dimension and direction, one row each, in the order of dimension and direction.

    walks: corner_cases.csv.  failures: the claims; only those of corner cases count.
    name: what it does to the images, in the words of each class, the most frequent first; `not named`: not measured.
    walks: all of that direction, from whatever start.  reached: those that fell to 0.50; the shares are of these, as
    `average_sources` takes them.
    """
    own = failures[failures["source"] == CORNER_CASE].set_index("index")[["verdict", READABLE, "noise_draw"]]
    examined = own.astype(object).reindex(range(len(walks)))
    rows: list[dict[str, Any]] = []
    for key, members in walks.reset_index(drop=True).groupby(GROUP_COLUMNS, sort=True):
        given, names = examined.loc[members.index].dropna(), members["name"]
        words = names[names != ""].value_counts(sort=True).index
        row = dict(zip(GROUP_COLUMNS, key, strict=True)) | {"name": "; ".join(map(str, words))}
        row |= {"walks": len(members), "reached": len(given)}
        for column, share in average_sources(_name_shares, given).items():
            row |= {f"{column}{end}": share[part] for part, end in ENDS.items()}
        rows.append(row)
    shares = [f"{name}{end}" for name in _name_shares(own) for end in ENDS.values()]
    return pd.DataFrame(rows, columns=[*GROUP_COLUMNS, "name", "walks", "reached", *shares])


def share_confirmed(true_failures: pd.DataFrame) -> dict[str, Any]:
    """Share of true failures on which the auditor is sure of the meant class, or sees it most of all classes."""
    return {
        "confirmed_true_failure_share": proportion(true_failures["auditor_confirms"].to_numpy(bool)),
        "agreed_true_failure_share": proportion(true_failures["auditor_agrees"].to_numpy(bool)),
    }


def summarize_source(failures: pd.DataFrame, record: Record, random: np.random.Generator) -> dict[str, Any]:
    """Figures of the claimed failures of one source.

    All shares of verdicts are of all claims, which have all been judged, those that the classifier still gets right
    among them.  label_kept_share: the claims whose image the judge reads as meant, whatever the classifier says.
    noise_survival: of the misclassified ones, the mean share of fresh draws of noise under which they still are;
    true_failure_noise_survival: of the true failures, alike.
    true_failure_share_corrected: without the mistakes that the judge made on real images (record), see `correct_share`.
    """
    right, wrong = failures["verdict"] == TRUE_FAILURE, failures["misclassified"].to_numpy(bool)
    near, real = (~failures[name].astype(bool) for name in ("far_out", "far_out_in_realism"))
    corrected = correct_share(int(right.sum()), int(wrong.sum()), len(failures), record, random)
    return {
        "claimed_failures": len(failures),
        "misclassified_share": proportion(wrong),
        **_name_shares(failures),
        "true_failure_share_corrected": corrected.as_dict(),
        "label_kept_share": proportion((failures["reading"] == LABEL_KEPT).to_numpy()),
        **share_confirmed(failures[right]),
        **_share_far_out(failures),
        **_tell_survival(failures),
        "true_failure_share_not_far_out": proportion(right[near].to_numpy()),
        "true_failure_share_not_far_out_in_realism": proportion(right[real].to_numpy()),
    }


def summarize_failures(
    failures: pd.DataFrame, found: pd.DataFrame, class_names: Sequence[str], record: Record, seed: int
) -> dict[str, Any]:
    """All figures but those of real images.

    failures: the claims of both sources.  found: the true failures of the search.  record: of the judge on real images.
    seed: of the draws behind the corrected shares.  Figures at the top are of all claims together, except that the
    confirmed shares are of what the search found; all are means over draws of noise, see `average_sources`. Corner
    cases share starts and dimensions, so their intervals, made for independent ones, are on the narrow side.
    confirmed_true_failure_verdict: on the bar, by the whole interval; the point may meet it and decide nothing.
    """

    def summarize_all(name: str, claims: pd.DataFrame) -> dict[str, Any]:
        random = numpy_stream(seed, "corrected share", name)
        means = average_sources(lambda part: summarize_source(part, record, random), claims)
        return means | {"claimed_failures": len(claims)}

    population, corner_cases = (
        summarize_all(name, failures[failures["source"] == name]) for name in (POPULATION, CORNER_CASE)
    )
    confirmed = average_sources(share_confirmed, found)
    share = confirmed["confirmed_true_failure_share"]
    return {
        **summarize_all(ALL, failures),
        **confirmed,
        "confirmed_true_failure_bar": CONFIRMED_BAR,
        "confirmed_true_failure_point_meets_bar": bool(share["value"] >= CONFIRMED_BAR) if share["n"] else None,
        "confirmed_true_failure_verdict": decide(share, CONFIRMED_BAR),
        "population": population,
        "corner_cases": corner_cases,
        "true_failure_search": {"found": len(found), **average_sources(_summarize_search, found)},
        "per_class": {
            name: average_sources(_name_shares, failures[failures["class"] == name], list_draws(failures))
            for name in class_names
        },
    }


def average_sources(
    summarize: Callable[[pd.DataFrame], dict[str, Any]], failures: pd.DataFrame, draws: Sequence[int] | None = None
) -> dict[str, Any]:
    """The mean of what is told of failures under each draw of noise that starts were shown under, see `average_draws`.

    One mean style under several draws is one case, not several. What has no draw, samples of a population, is part of
    each.  draws: by default those of these failures.
    """
    own = failures["noise_draw"]
    draws = draws or list_draws(failures)
    told: dict[str, Any] = average_draws([summarize(failures[own.isna() | (own == draw)]) for draw in draws])
    return told


def list_draws(failures: pd.DataFrame) -> list[int]:
    """The draws of noise of their starts, in order; the first one where none has any."""
    return [int(draw) for draw in sorted(failures["noise_draw"].dropna().unique())] or [0]


def _summarize_search(found: pd.DataFrame) -> dict[str, Any]:
    readable = {"readable_share": proportion(found[READABLE].to_numpy(bool))}
    return readable | _share_far_out(found) | _tell_survival(found)


def read_record(real: pd.DataFrame) -> Record:
    """What the judge made of the real test images that the classifier gets wrong: the rows of `Examiner.examine_real`.

    Nobody moved these images, so `label changed` is the judge's own error (or a wrong label in the data set). They are
    the hard ones, as claimed failures are: the judge errs less often on the test set as a whole.
    """
    kept, changed = (int((real["verdict"] == verdict).sum()) for verdict in (TRUE_FAILURE, LABEL_CHANGED))
    return Record(kept, changed, len(real))


def summarize_real(real: pd.DataFrame, wrong: np.ndarray, far_out: np.ndarray) -> dict[str, Any]:
    """Verdicts on the real test images that the classifier gets wrong, and the judge's mistakes, see `read_record`.

    wrong, far_out: [N] bool, of all test images.  real_far_out_share: of all of them as far from the others as a
    generated image that counts as far out; what the percentile leaves, by construction.
    """
    shares = share_verdicts(real["verdict"])
    return {
        "judge_sensitivity": shares[TRUE_FAILURE],
        "judge_false_alarm_share": shares[LABEL_CHANGED],
        "real_far_out_share": proportion(far_out),
        "real_images": {
            "misclassified_share": proportion(wrong),
            "far_out_share": proportion(far_out[wrong]),
            **_name_shares(real),
        },
    }


def tell_failures(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    told = {
        "claimed failures: true": "true_failure_share",
        "of all claims, true and readable": "readable_true_failure_share",
        "true but not readable": "unreadable_true_failure_share",
        "true, corrected for the judge's mistakes": "true_failure_share_corrected",
        "still right": "still_right_share",
        "true failures of the search: confirmed by the auditor": "confirmed_true_failure_share",
        "false alarms of the judge on real images": "judge_false_alarm_share",
    }
    return "; ".join(f"{words} {read_estimate(metrics[key]).tell()}" for words, key in told.items())


def _name_shares(examined: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Shares of the verdicts under the names of metrics, and of the true failures that are readable, and that are not.

    All are of all rows; what people can be expected to read is a model's word (see `readability`).
    """
    shares = {
        f"{verdict.replace(' ', '_')}_share": share for verdict, share in share_verdicts(examined["verdict"]).items()
    }
    true, readable = (examined["verdict"] == TRUE_FAILURE).to_numpy(), examined[READABLE].to_numpy(bool)
    return shares | {
        "readable_true_failure_share": proportion(true & readable),
        "unreadable_true_failure_share": proportion(true & ~readable),
    }


def _tell_survival(failures: pd.DataFrame) -> dict[str, Any]:
    """How often what fails under the noise at hand fails under fresh noise: mean shares, intervals cut to [0, 1]."""
    wrong, true = failures["misclassified"].to_numpy(bool), (failures["verdict"] == TRUE_FAILURE).to_numpy()
    columns = {SURVIVAL: wrong, f"true_failure_{SURVIVAL}": true}
    survived = {name: failures.loc[rows, name].to_numpy(float) for name, rows in columns.items()}
    told = {name: mean(shares) if len(shares) else proportion(np.zeros(0, bool)) for name, shares in survived.items()}
    return {
        name: each | {end: float(np.clip(each[end], 0, 1)) for end in ("low", "high")} for name, each in told.items()
    }


def _share_far_out(failures: pd.DataFrame) -> dict[str, Any]:
    """Share that lies far from all real images, and share that looks less real than nearly all of its class."""
    return {f"{name}_share": proportion(failures[name].to_numpy(bool)) for name in FAR_OUT}
