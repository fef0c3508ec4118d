"""The order and direction of the dimensions in one scope of a ranking."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.common.errors import StageError


@dataclass(frozen=True)
class Order:
    """dimensions: int64 [D], the most influential first.  direction: int64 [D], by dimension: -1, 0 or 1."""

    dimensions: np.ndarray
    direction: np.ndarray


def read_order(table: pd.DataFrame, scope: str, style_dimensions: int) -> Order:
    """Take one scope out of a ranking table; StageError unless it holds every dimension once."""
    part = table[table["scope"] == scope].sort_values("rank", kind="stable")
    dimensions = part["dimension"].to_numpy(np.int64)
    if not np.array_equal(np.sort(dimensions), np.arange(style_dimensions)):
        raise StageError(
            f"ranking.csv: scope '{scope}' does not hold each of {style_dimensions} dimensions once; "
            "make it again with: dvc repro rank_dimensions"
        )
    direction = np.zeros(style_dimensions, np.int64)
    direction[dimensions] = part["direction"].to_numpy(np.int64)
    return Order(dimensions, direction)


def draw_dimensions(style_dimensions: int, k: int, stream: np.random.Generator) -> np.ndarray:
    """k different dimensions drawn from all with equal chance, whatever their rank: int64 [k], sorted."""
    return np.sort(stream.choice(style_dimensions, size=k, replace=False))
