"""What the stage reports: how many directions have a name, which names, how far they reach, how good the rule is."""

from typing import Any

import pandas as pd

from failure_atlas.directions.naming import GLOBAL_REACH, NAMELESS
from failure_atlas.statistics.estimates import flatten, proportion
from stages.common.artefacts.ranking import GLOBAL


def summarize_names(table: pd.DataFrame, check: pd.DataFrame) -> dict[str, Any]:
    """Figures of all rows, of the global ones and of the classes' ones; table: directions.csv, check: naming_check.csv.

    A dimension that stands in several rankings counts once in each. Rows share samples and check groups share images,
    so the intervals, made for independent ones, are on the narrow side.
    """
    of_classes = table["scope"] != GLOBAL
    return {
        "directions": len(table),
        "style_dimensions": int(table["dimension"].nunique()),
        **flatten("naming_accuracy", proportion(check["correct"].to_numpy(bool))),
        "all": _summarize(table),
        "global": _summarize(table[~of_classes]),
        "classes": _summarize(table[of_classes]),
    }


def _summarize(rows: pd.DataFrame) -> dict[str, Any]:
    named = ~rows["name"].isin(NAMELESS)
    reach = rows.loc[named, "reach"] == GLOBAL_REACH
    return {
        "named": int(named.sum()),
        "named_dimensions": int(rows.loc[named, "dimension"].nunique()),
        **flatten("share_named", proportion(named.to_numpy(bool))),
        **flatten("share_global_reach", proportion(reach.to_numpy(bool))),
        "share_of_name": {
            name: proportion((rows["name"] == name).to_numpy(bool)) for name in sorted(set(rows["name"]))
        },
    }


def tell_names(metrics: dict[str, Any]) -> str:
    """The main figures in one line for the log."""
    return (
        f"{metrics['all']['named']} of {metrics['directions']} directions named, "
        f"{metrics['all']['share_global_reach']:.0%} of them of global reach; the rule names "
        f"{metrics['naming_accuracy']:.0%} of known changes rightly"
    )
