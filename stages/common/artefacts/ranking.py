"""The ranking as a table, one block of all dimensions per scope; its orders; and sets drawn at random beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from failure_atlas.statistics.agreement import order_dimensions
from failure_atlas.statistics.moments import ClassMoments
from failure_atlas.stylegan2.generator import StyleLayer
from stages.common.artefacts.population import Samples

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
    path = require(folder / "ranking.csv", "rank_dimensions")
    table = pd.read_csv(path, dtype={"scope": str, "layer": str, "kind": str})
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise StageError(
            f"{path}: lacks the columns {', '.join(missing)}; make it again with: dvc repro rank_dimensions"
        )
    return table


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
