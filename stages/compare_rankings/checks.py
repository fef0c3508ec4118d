"""Whether the paper's score is the one that rank_dimensions ranked by."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.statistics.agreement import correlate_ranks, share_top
from stages.common.artefacts.ranking import GLOBAL

TOLERANCE = 0.01  # of the largest score: two ways to the same gradient differ by rounding only


def check_agreement(path: Path, ranking: pd.DataFrame, score: np.ndarray, *, whole: bool) -> dict[str, Any]:
    """Agreement of the paper's score [D] with the ranking of rank_dimensions: overlap of the top 10, Spearman.

    whole: whether both rest on the same samples; the scores must then be equal but for rounding.
    Raises StageError if they are not, or rank another number of dimensions.
    """
    block = ranking[ranking["scope"] == GLOBAL].sort_values("dimension")
    if not np.array_equal(block["dimension"], np.arange(len(score))):
        raise StageError(
            f"{path}: ranks {len(block)} dimensions, the generator has {len(score)}; make it with: dvc repro "
            "rank_dimensions"
        )
    other = block["score"].to_numpy(np.float64)
    gap, largest = float(np.abs(other - score).max()), float(np.abs(score).max())
    if whole and gap > TOLERANCE * largest:
        raise StageError(
            f"{path}: its scores are up to {gap:.3g} off this classifier's, the largest of which is {largest:.3g}; "
            "make it again with: dvc repro rank_dimensions"
        )
    return {
        "paper_top10_shared_with_rank_dimensions": float(share_top(score, other)),
        "paper_spearman_with_rank_dimensions": float(correlate_ranks(score, other)),
    }
