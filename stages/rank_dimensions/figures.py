"""How the scores of all dimensions fall with their rank; name_directions draws the leading ones with their names."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from failure_atlas.drawing.style import CLASS_COLORS, new_figure
from stages.common.artefacts.ranking import GLOBAL

LEAST_SHOWN = 1e-4  # of the largest score: below it lie dimensions that change nothing


def tabulate_scores(ranking: pd.DataFrame) -> pd.DataFrame:
    """What `draw_scores` shows of a whole ranking: one row per scope and rank."""
    table = ranking[["scope", "rank", "dimension"]].copy()
    return table.assign(absolute_score=ranking["score"].abs())


def tell_score(how: Mapping[str, Any]) -> str:
    """What the score of a dimension is, on lines for an axis; how: empty for gradients."""
    if not how:
        return "mean gradient of the true-class softmax\nper raw style unit"
    return (
        "mean central difference\nof the true-class softmax per raw style unit\n"
        f"(h = {how['score_step_std']:g} std, n = {how['score_samples']})"
    )


def draw_scores(table: pd.DataFrame, score: str) -> Figure:
    """Size of the score against rank, of each ranking one line.

    table: see `tabulate_scores`.  score: what the score is, for the axis.
    """
    figure, axes = new_figure(1, 1, width=7.0, height=3.6)
    panel = axes[0, 0]
    for place, (scope, own) in enumerate(table.groupby("scope", sort=False)):
        look = {"color": "black", "linewidth": 2.0, "zorder": 3}
        if scope != GLOBAL:
            look = {"color": CLASS_COLORS[(place - 1) % len(CLASS_COLORS)], "linewidth": 0.9}
        label = "all classes" if scope == GLOBAL else f"class {scope}"
        panel.plot(own["rank"], own["absolute_score"], label=label, **look)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("rank of the style dimension")
    panel.set_ylabel(f"size of the {score}", fontsize=8)
    panel.set_ylim(bottom=LEAST_SHOWN * table["absolute_score"].max())
    panel.legend(fontsize=7, ncols=2)
    panel.set_title("how fast influence falls with rank")
    return figure
