"""What is known of one generator: its ranking, the names of its leading dimensions, the classifier's outcomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import require
from stages.common.artefacts.names import read_directions
from stages.common.artefacts.ranking import GLOBAL, read_ranking


@dataclass(frozen=True)
class NamedRanking:
    """One generator as a classifier's ranking shows it.

    influence: float64 [D], |score * std| of each dimension of the global ranking: how much the true-class softmax moves
    per std.  layer: the layer of each dimension, [D].  order: int64 [D], dimensions by rank.  names: of the first
    dimensions by rank, text [K].  others: names of dimensions that only a class ranked high, text [M].
    well: bool [N], whether the classifier is right about each sample of the population.
    """

    influence: np.ndarray
    layer: np.ndarray
    order: np.ndarray
    names: np.ndarray
    others: np.ndarray
    well: np.ndarray


def read_named(named: Path, ranked: Path) -> NamedRanking:
    """Read the result folders of name_directions and of rank_dimensions; StageError if they do not belong together."""
    ranking = read_ranking(ranked)
    ranking = ranking[ranking["scope"] == GLOBAL].sort_values("rank", kind="stable")
    by_dimension = ranking.sort_values("dimension", kind="stable")
    if len(ranking) == 0 or not np.array_equal(by_dimension["dimension"], np.arange(len(ranking))):
        raise StageError(
            f"{ranked / 'ranking.csv'}: scope '{GLOBAL}' does not hold each dimension once; "
            "make it again with: dvc repro rank_dimensions"
        )
    directions = read_directions(named, ["scope", "rank", "dimension", "name"])
    leading = directions[directions["scope"] == GLOBAL].sort_values("rank", kind="stable")
    order = ranking["dimension"].to_numpy(np.int64)
    if not np.array_equal(leading["dimension"], order[: len(leading)]):
        raise StageError(
            f"{named / 'directions.csv'}: its leading dimensions are not those of {ranked / 'ranking.csv'}; "
            "make it again with: dvc repro name_directions"
        )
    rest = directions[~directions["dimension"].isin(leading["dimension"])].drop_duplicates("dimension")
    return NamedRanking(
        np.abs((by_dimension["score"] * by_dimension["std"]).to_numpy(np.float64)),
        by_dimension["layer"].to_numpy(str),
        order,
        leading["name"].to_numpy(str),
        rest["name"].to_numpy(str),
        np.asarray(read_array(require(ranked / "predictions.zarr", "rank_dimensions"), "well"), bool),
    )


def check_pair(pair: Sequence[NamedRanking], top: int) -> None:
    """StageError unless both have the same layers and names for `top` dimensions."""
    layers = [Counter(each.layer.tolist()) for each in pair]
    if layers[0] != layers[1]:
        first, second = (", ".join(f"{name} ({count})" for name, count in each.items()) for each in layers)
        raise StageError(
            f"--ranking-first has the layers {first}; --ranking-second has {second}; "
            "compare generators of one architecture"
        )
    for option, each in zip(("--first", "--second"), pair, strict=True):
        if len(each.names) < top:
            raise StageError(
                f"{option}: names {len(each.names)} dimensions of scope '{GLOBAL}', compare_generators.top asks for "
                f"{top}; raise name_directions.dimensions or lower compare_generators.top"
            )
