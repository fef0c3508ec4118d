"""What the trials say, as metrics, and as one table a person reads."""

from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.statistics.estimates import flatten, proportion, wilson
from stages.find_planted.trials import GENERATED, REAL


def summarize(spots: pd.DataFrame, trials: pd.DataFrame) -> dict[str, Any]:
    """metrics.json: shares found, with Wilson intervals over spots, and what is reported without reason."""
    metrics: dict[str, Any] = {}
    for by, ending in ((GENERATED, ""), (REAL, "_real_images_alone")):
        own, tried = spots[spots["by"] == by], trials[trials["by"] == by]
        metrics |= flatten(f"planted_recovered_share{ending}", proportion(own["found"].to_numpy(bool)))
        reported, false = int(tried["modes"].sum()), int(tried["false_modes"].sum())
        none = np.repeat([True, False], [false, reported - false])
        metrics |= flatten(f"reported_false_share{ending}", proportion(none))
        clean = tried[tried["kind"] == "none"]
        metrics[f"clean_runs_without_mode{ending}"] = int((clean["modes"] == 0).sum())
        metrics[f"clean_runs{ending}"] = len(clean)
    return metrics


def tabulate(spots: pd.DataFrame) -> pd.DataFrame:
    """planted.csv: share found by basis and kind, generated beside real images alone."""
    rows = []
    for (basis, kind), own in spots.groupby(["basis", "kind"], sort=False):
        row: dict[str, Any] = {"basis": basis, "kind": kind}
        for by, name in ((GENERATED, "generated"), (REAL, "real")):
            found = own.loc[own["by"] == by, "found"].to_numpy(bool)
            low, high = wilson(np.array(found.sum()), np.array(len(found)))
            row |= {name: found.mean(), f"{name}_low": float(low), f"{name}_high": float(high), "n": len(found)}
        rows.append(row)
    return pd.DataFrame(rows)
