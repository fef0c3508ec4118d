"""What must fit together before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.common.errors import StageError
from stages.compare_rankings.attfind import count_passes
from stages.compare_rankings.gradients import BACKWARD_PASSES
from stages.compare_rankings.params import CompareRankingsParams
from stages.rank_dimensions.agreement import correlate_ranks, share_top
from stages.rank_dimensions.ranking import GLOBAL
from stages.rank_dimensions.samples import LEAST_PER_CLASS

SAVING = 50  # the gradient scores are also computed at this part of AttFind's forward passes
TOLERANCE = 0.01  # of the largest score: two ways to the same gradient differ by rounding only


def count_small_budget(attfind_samples: int, dimensions: int) -> int:
    """Samples whose gradients cost 1/50 of AttFind's forward passes."""
    return count_passes(attfind_samples, dimensions) // (SAVING * (1 + BACKWARD_PASSES))


def check_sizes(params: Path, section: CompareRankingsParams, population: int, dimensions: int, classes: int) -> None:
    """Raise StageError that names the first key whose number the population, S or the classes do not allow."""
    least_attfind = classes
    while count_small_budget(least_attfind, dimensions) < classes:
        least_attfind += 1
    small = count_small_budget(section.attfind_samples, dimensions)
    least = max(LEAST_PER_CLASS * classes, section.attfind_samples, small)
    for key, value, low, high in (
        ("attfind_samples", section.attfind_samples, least_attfind, population),
        ("samples", section.samples, least, population),
        ("held_out_samples", section.held_out_samples, max(classes, section.random_draws), None),
        ("top_k", max(section.top_k), 1, dimensions),
        ("walk_dimensions", section.walk_dimensions, 1, dimensions),
    ):
        if value < low or (high is not None and value > high):
            allowed = f"{low} to {high}" if high is not None else f"at least {low}"
            raise StageError(f"{params}: compare_rankings.{key}: got {value}; allowed: {allowed}")


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
