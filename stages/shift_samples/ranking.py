"""The order and direction of the dimensions in each scope of a ranking, and sets drawn at random for comparison."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.errors import StageError
from stages.rank_dimensions.ranking import GLOBAL, read_ranking
from stages.rank_dimensions.samples import Samples

ALL = "all"  # the scope of all samples, beside the classes' names


@dataclass(frozen=True)
class Order:
    """dimensions: int64 [D], the most influential first.  direction: int64 [D], by dimension: -1, 0 or 1."""

    dimensions: np.ndarray
    direction: np.ndarray


def read_orders(folder: Path, samples: Samples) -> dict[str, Order]:
    """The ranking of all samples, under `all`, and of each class in the order of the labels."""
    table = read_ranking(folder)
    dimensions = samples.styles.shape[1]
    scopes = {ALL: GLOBAL} | {name: name for name in samples.class_names}
    return {name: read_order(table, scope, dimensions) for name, scope in scopes.items()}


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


def draw_sets(
    style_dimensions: int, k: int, draws: int, stream: Callable[..., np.random.Generator]
) -> list[np.ndarray]:
    """Sets of k different dimensions, the same for all classifiers: `draws` times int64 [k].

    stream: the generator of the named draw, whose names are what they are drawn for, k and its number.
    """
    return [draw_dimensions(style_dimensions, k, stream("random dimensions", k, draw)) for draw in range(draws)]


def draw_dimensions(style_dimensions: int, k: int, stream: np.random.Generator) -> np.ndarray:
    """k different dimensions drawn from all with equal chance, whatever their rank: int64 [k], sorted."""
    return np.sort(stream.choice(style_dimensions, size=k, replace=False))
