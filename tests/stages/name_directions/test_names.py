"""What other stages read of the names."""

import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from stages.common.artefacts.names import UNNAMED, read_names, shorten_name

ROWS = [
    ("global", 3, 1, "noise +", "larger"),
    ("global", 4, -1, "fainter", ""),
    ("7", 3, 1, "thinner stroke", ""),
    ("nan", 5, 1, "wider", ""),
]


@pytest.fixture
def folder(tmp_path):
    columns = ["scope", "dimension", "direction", "name", "second_name"]
    pd.DataFrame(ROWS, columns=columns).to_csv(tmp_path / "directions.csv", index=False)
    return tmp_path


def test_the_words_of_the_class_come_before_those_of_all_and_the_other_way_has_none(folder):
    names = read_names(folder)
    for scope, dimension, direction, words in (
        ("7", 3, 1, "thinner stroke"), ("2", 3, 1, "noise +, larger"), ("global", 3, 1, "noise +, larger"),
        ("7", 4, -1, "fainter"), ("nan", 5, 1, "wider"),  # a class may be called so
        ("7", 3, -1, UNNAMED), ("global", 9, 1, UNNAMED), ("global", 3, 0, UNNAMED),
    ):  # fmt: skip
        assert names.look_up(scope, dimension, direction) == words
    assert names.name_rows(["7", "2"], [3, 4], [1, -1]) == ["thinner stroke", "fainter"]
    assert [shorten_name(words) for words in ("noise +, larger", "wider")] == ["noise +", "wider"]


def test_a_table_without_names_is_named(folder):
    pd.DataFrame({"scope": ["global"], "dimension": [1]}).to_csv(folder / "directions.csv", index=False)
    with pytest.raises(StageError, match=r"directions\.csv: lacks the columns direction, name, second_name; make it"):
        read_names(folder)
