"""Claimed failures, whatever their source: what was meant, where it lies in S, what it looks like."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

POPULATION, CORNER_CASE, SEARCH, REAL = "population", "corner case", "true failure search", "real test image"
# Missing where nobody walked; name: what the move does to images of the class, `not named` where nobody measured it.
WALK_COLUMNS = {"dimension": "Int64", "direction": "Int64", "name": "string", "shift_std": "Float64"}


@dataclass(frozen=True)
class Claims:
    """M images on which the classifier is claimed to fail.

    source: one of the names above.  index: [M] int64, of the population sample, or the row of the source's own table.
    styles: [M, D] float32.  images: [M, C, H, W] uint8, rounded.  true_class: [M] int64, the class that was meant.
    walks: M rows, the columns of WALK_COLUMNS.
    """

    source: str
    index: np.ndarray
    styles: np.ndarray
    images: np.ndarray
    true_class: np.ndarray
    walks: pd.DataFrame

    def __len__(self) -> int:
        return len(self.index)


def claim_population(styles: np.ndarray, images: np.ndarray, true_class: np.ndarray, predicted: np.ndarray) -> Claims:
    """All misclassified samples of a population.

    styles: [N, D] float32.  images: [N, C, H, W] uint8.  true_class, predicted: [N] int64.
    """
    wrong = np.flatnonzero(predicted != true_class)
    return Claims(POPULATION, wrong, styles[wrong], images[wrong], true_class[wrong], no_walks(len(wrong)))


def no_walks(rows: int) -> pd.DataFrame:
    """The walk columns of rows that no walk led to."""
    return pd.DataFrame(np.nan, index=range(rows), columns=list(WALK_COLUMNS)).astype(WALK_COLUMNS)
