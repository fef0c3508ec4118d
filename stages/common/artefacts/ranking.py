"""The ranking as a table: one block of all dimensions per scope, the most influential first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.files import read_table
from failure_atlas.statistics.agreement import order_dimensions
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import StyleLayer

GLOBAL = "global"
SCORE_BY = "score_by"  # a further column where scores are no gradients: what they are instead
COLUMNS = ["scope", "rank", "dimension", "layer", "kind", "score", "standard_error", "std", "direction"]


def tabulate_ranking(
    gradients: ClassMoments,
    std: np.ndarray,
    layout: Sequence[StyleLayer],
    class_names: Sequence[str],
    score_by: str | None = None,
) -> pd.DataFrame:
    """Rank the dimensions globally (classes weighted equally) and for each class, by falling |score|.

    std: [D], of each dimension in the whole population. direction: -1 or 1, the move that lowers the true-class
    score; 0 where the score is 0.  score_by: for a column of that name, what the scores are if no gradients.
    """
    scopes = [(GLOBAL, gradients.global_mean(), gradients.global_standard_error())]
    scopes += zip(class_names, gradients.mean, gradients.class_standard_error(), strict=True)
    layers = np.repeat([layer.name for layer in layout], [layer.channels for layer in layout])
    kinds = np.repeat([layer.kind for layer in layout], [layer.channels for layer in layout])
    blocks = []
    for scope, score, error in scopes:
        order = order_dimensions(score)
        block = {
            "scope": scope,
            "rank": np.arange(1, len(order) + 1),
            "dimension": order,
            "layer": layers[order],
            "kind": kinds[order],
            "score": score[order],
            "standard_error": error[order],
            "std": std[order],
            "direction": -np.sign(score[order]).astype(np.int64),
        }
        blocks.append(pd.DataFrame(block, columns=COLUMNS))
    table = pd.concat(blocks, ignore_index=True)
    return table if score_by is None else table.assign(**{SCORE_BY: score_by})


def read_ranking(folder: Path) -> pd.DataFrame:
    """Read `ranking.csv` of a result folder of this stage; scopes are text even where they look like numbers."""
    text = {"scope": str, "layer": str, "kind": str}
    return read_table(folder / "ranking.csv", "rank_dimensions", COLUMNS, dtype=text)
