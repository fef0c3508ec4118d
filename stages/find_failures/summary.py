"""What the stage reports: shares of starts, of what was found, and rates, for the search and its baselines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.search.nearest import Nearest
from failure_atlas.statistics.estimates import mean, proportion
from failure_atlas.statistics.survival import find_median
from stages.find_failures.attempts import DRAWN, MEAN, NEAREST, REAL, Independent, Starts
from stages.find_failures.examination import Examined
from stages.find_failures.inputs import Opened

SHARES = {  # metric -> column of the failures
    "auditor_sure_share": "auditor_confirms",
    "auditor_agrees_share": "auditor_agrees",
    "scorer_sure_share": "scorer_confirms",
    "far_share": "far_out",
    "readable_share": "readable",
}


def tabulate_starts(opened: Opened, starts: Starts, walks: Nearest) -> pd.DataFrame:
    """One row per start of a walk in W; what was not found lies, if anywhere, farther out than distance_std says."""
    names = np.array(opened.samples.class_names, dtype=object)
    return pd.DataFrame(
        {
            "class": names[starts.true_class],
            "start": starts.kind,
            "index": starts.index,
            "found": walks.found,
            "distance_std": walks.distance_std,
            "judge_probability": np.where(walks.found, walks.judge, np.nan),
            "steps": walks.steps,
        }
    )


def read_distances(starts: pd.DataFrame, farthest_std: float, kind: str = DRAWN) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the starts of a kind, and which were reached; what was not found lies beyond the domain."""
    drawn = starts[starts["start"] == kind]
    found = drawn["found"].to_numpy(bool)
    return np.where(found, drawn["distance_std"], farthest_std), found


def summarize(
    opened: Opened,
    starts: pd.DataFrame,
    drawn: Independent,
    examined: Sequence[Examined],
    tried: int,
    settings: dict[str, float],
) -> dict[str, Any]:
    """All figures; at the top those of the walks in W from starts that were drawn at random.

    tried: samples drawn for the starts.  settings: told with them.
    median_distance_std: over these starts, those without a failure beyond all others.  independent: the rate of true
    failures that independent samples give, by class; guided tries give none.  methods: each from its own tries, walks
    from those starts.
    distinct: failures that are no near-copies, sure_distinct: those of which the auditor is sure.  cpu_seconds is
    counted (see failure_atlas/search/metering.py).
    """
    names = opened.samples.class_names
    walked = examined[0]
    random = (starts["start"] == DRAWN).to_numpy()
    own = random[walked.attempt.row]
    of_drawn = starts[random]
    farthest = 2 * float(opened.domain.radius.max())
    share = float(random.mean())
    kept = walked.table["distinct"].to_numpy(bool) & own
    counts = [int(np.count_nonzero(kept & (walked.table["class"] == name))) for name in names]
    return {
        **settings,
        "start_share": proportion(of_drawn["found"].to_numpy(bool)),
        "starts": len(of_drawn),
        "samples_drawn": tried,
        "median_distance_std": find_median(*read_distances(starts, farthest)),
        "sample_distance_std": float(np.sqrt(2 * opened.w.shape[1])),
        **_tell_failures(walked.table[own]),
        **_tell_rate(walked.table[own], walked.attempt.cpu_seconds * share),
        "smallest_class_count": min(counts),
        "per_class": {
            name: {
                "start_share": proportion(of_drawn.loc[of_drawn["class"] == name, "found"].to_numpy(bool)),
                "distinct": count,
                "true_failure_rate": proportion(drawn.failed[drawn.true_class == label]),
            }
            for label, (name, count) in enumerate(zip(names, counts, strict=True))
        },
        "independent": {"true_failure_rate": proportion(drawn.failed)},
        "from_means": {"start_share": proportion(starts.loc[starts["start"] == MEAN, "found"].to_numpy(bool))},
        "methods": {
            NEAREST: _summarize_method(walked.table[own], len(of_drawn), walked.attempt.cpu_seconds * share),
            **{
                each.attempt.method: _summarize_method(each.table, each.attempt.tried, each.attempt.cpu_seconds)
                for each in examined[1:]
            },
        },
    }


def summarize_real(opened: Opened, starts: pd.DataFrame, walked: Examined) -> dict[str, Any]:
    """The same of the walks from real images, as `from_real_images`; starts: of `tabulate_starts`."""
    share, farthest = proportion(starts["found"].to_numpy(bool)), 2 * float(opened.domain.radius.max())
    median = find_median(*read_distances(starts, farthest, REAL))
    told = {"start_share": share, "median_distance_std": median, **_tell_failures(walked.table)}
    return {"from_real_images": told}


def _summarize_method(table: pd.DataFrame, tried: int, cpu_seconds: float) -> dict[str, Any]:
    return {
        "start_share": proportion(np.arange(tried) < len(table)),
        **_tell_failures(table),
        **_tell_rate(table, cpu_seconds),
        "median_distance_std": float(table["distance_std"].median()),
        "median_image_distance": float(table["image_distance"].median()),
    }


def _tell_failures(table: pd.DataFrame) -> dict[str, Any]:
    shares = {key: proportion(table[column].to_numpy(bool)) for key, column in SHARES.items() if column in table}
    lasting = table["true_failure_noise_survival"].to_numpy(float)
    told = mean(lasting) if len(lasting) > 1 else proportion(np.zeros(0, bool))
    ends = {end: float(np.clip(told[end], 0, 1)) for end in ("low", "high")}
    return shares | {"fresh_noise_share": told | ends}


def _tell_rate(table: pd.DataFrame, cpu_seconds: float) -> dict[str, Any]:
    distinct = table["distinct"].to_numpy(bool)
    sure = int(np.count_nonzero(distinct & table["auditor_confirms"].to_numpy(bool)))
    rate = sure / cpu_seconds if cpu_seconds > 0 else float("nan")
    return {
        "distinct": int(np.count_nonzero(distinct)),
        "sure_distinct": sure,
        "cpu_seconds": cpu_seconds,
        "distinct_per_cpu_second": rate,
    }


def tell(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""

    def say(key: str) -> str:
        held = metrics[key]
        return f"{held['value']:.2f} [{held['low']:.2f}, {held['high']:.2f}]"

    return (
        f"{NEAREST}: a true failure inside the population from {say('start_share')} of {metrics['starts']} starts, "
        f"median distance {metrics['median_distance_std']['value']:.1f} std of the class; the auditor is sure of "
        f"{say('auditor_sure_share')}, far out {say('far_share')}; "
        f"{metrics['distinct_per_cpu_second']:.1f} distinct and sure a CPU second"
    )


def tabulate_methods(metrics: dict[str, Any]) -> pd.DataFrame:
    """One row per method: what it tried and found, and what the witnesses say."""
    rows = []
    for method, held in metrics["methods"].items():
        row: dict[str, Any] = {"method": method, "tried": held["start_share"]["n"]}
        for key in ("start_share", *SHARES, "fresh_noise_share"):
            if key in held:
                row |= {key: held[key]["value"], f"{key}_low": held[key]["low"], f"{key}_high": held[key]["high"]}
        row |= {key: held[key] for key in ("distinct", "sure_distinct", "cpu_seconds", "distinct_per_cpu_second")}
        rows.append(row | {key: held[key] for key in ("median_distance_std", "median_image_distance")})
    return pd.DataFrame(rows)
