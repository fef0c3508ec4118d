"""What other stages read of the names: the words for a move along a dimension."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from failure_atlas.core.files import read_table
from stages.common.artefacts.ranking import GLOBAL

COLUMNS = ["scope", "dimension", "direction", "name", "second_name"]
UNNAMED = "not named"  # a dimension that is not among those whose moves were measured


@dataclass(frozen=True)
class Names:
    """words: by scope, dimension and direction (-1 or 1)."""

    words: dict[tuple[str, int, int], str]

    def look_up(self, scope: str, dimension: int, direction: int) -> str:
        """The words for a move on images of a class (or GLOBAL), as measured on that class, else on all classes."""
        for place in (scope, GLOBAL):
            if (place, dimension, direction) in self.words:
                return self.words[place, dimension, direction]
        return UNNAMED

    def name_rows(self, scopes: Iterable[Any], dimensions: Iterable[Any], directions: Iterable[Any]) -> list[str]:
        """The words of many moves."""
        return [
            self.look_up(str(scope), int(dimension), int(direction))
            for scope, dimension, direction in zip(scopes, dimensions, directions, strict=True)
        ]


def read_directions(folder: Path, columns: Sequence[str]) -> pd.DataFrame:
    """directions.csv in a result folder of name_directions; StageError if it is missing or lacks one of the columns."""
    return read_table(
        folder / "directions.csv", "name_directions", columns, dtype={"scope": str}, keep_default_na=False
    )


def read_names(folder: Path) -> Names:
    """The names in a result folder of name_directions; StageError if it has none or lacks a column."""
    return collect_names(read_directions(folder, COLUMNS))


def collect_names(table: pd.DataFrame) -> Names:
    """The names in a table of the form of directions.csv."""
    rows = table[COLUMNS].to_numpy(object)
    return Names({(str(scope), int(dimension), int(direction)): join_names(str(first), str(second))
                  for scope, dimension, direction, first, second in rows})  # fmt: skip


def join_names(first: str, second: str) -> str:
    """One or two words in one cell."""
    return f"{first}, {second}" if second else first


def shorten_name(words: str) -> str:
    """The first of the words, for narrow places."""
    return words.split(", ")[0]
