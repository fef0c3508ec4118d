"""Which dimensions are named, and on which samples they are tried."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from stages.common.artefacts.ranking import GLOBAL


def choose_directions(
    ranking: pd.DataFrame, class_names: Sequence[str], style_dimensions: int, top: int, class_top: int
) -> pd.DataFrame:
    """The first rows of the global ranking and of each class's; a dimension that pushes nowhere is left out.

    ranking: as rank_dimensions leaves it. Raises StageError if it lacks a scope or ranks another number of dimensions.
    """
    blocks = []
    for scope in (GLOBAL, *class_names):
        block = ranking[ranking["scope"] == scope]
        if len(block) != style_dimensions:
            raise StageError(
                f"ranking.csv: ranks {len(block)} dimensions in scope '{scope}', the generator has "
                f"{style_dimensions}; make it with: dvc repro rank_dimensions"
            )
        pushing = block[(block["direction"] != 0) & (block["std"] > 0)]
        blocks.append(pushing.sort_values("rank").head(top if scope == GLOBAL else class_top))
    return pd.concat(blocks, ignore_index=True)


def choose_balanced(true_class: np.ndarray, count: int, classes: int, random: np.random.Generator) -> np.ndarray:
    """Indices of `count` samples, as many of each class as of the next (one more of the first classes if it must be).

    Fewer where a class has not so many. true_class: [N] int64.
    """
    chosen = [
        random.permutation(np.flatnonzero(true_class == index))[: (count + classes - 1 - index) // classes]
        for index in range(classes)
    ]
    return np.sort(np.concatenate(chosen))


def find_typical(values: np.ndarray, level: np.ndarray) -> int:
    """Index of the most typical sample of the half with the higher level: what acts on noise shows on noise only.

    Nearest to that half's median in all columns, each in units of its standard deviation; values: [N, M], level: [N].
    Rows with NaN come last.
    """
    upper = np.flatnonzero(~(level < np.nanmedian(level)))
    return int(upper[_find_central(values[upper])])


def _find_central(values: np.ndarray) -> int:
    spread = np.nanstd(values, axis=0)
    scaled = (values - np.nanmedian(values, axis=0)) / np.where(spread > 0, spread, 1)
    return int(np.argmin(np.nan_to_num(np.square(scaled).sum(axis=1), nan=np.inf)))
