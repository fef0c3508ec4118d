"""The whole stage on a real, tiny generator and real digits."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.attributes.registry import ATTRIBUTES, GREYS, NAMES
from failure_atlas.directions.naming import NO_CHANGE, SHAPE_CHANGE
from stages.common.artefacts.attributes import read_measured
from stages.common.artefacts.names import UNNAMED, read_names, shorten_name
from stages.common.artefacts.ranking import read_ranking
from stages.name_directions.__main__ import main
from tests.refusing import refused
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "dimensions": 3, "class_dimensions": 1, "samples": 20, "step_std": 1.0, "fdr": 0.05, "batch_size": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(request):
    return Stage(request, main, "name_directions", SECTION)


def read_directions(out):
    return pd.read_csv(out / "directions.csv", dtype={"scope": str}, keep_default_na=False, na_values=["nan"])


def test_the_table_has_a_row_for_each_place_in_a_ranking(out, tiny_ranking):
    table, ranking = read_directions(out), pd.read_csv(tiny_ranking / "ranking.csv", dtype={"scope": str})
    for scope, count in [("global", 3), *((str(label), 1) for label in range(10))]:
        own = table[table["scope"] == scope]
        expected = ranking[(ranking["scope"] == scope) & (ranking["direction"] != 0)].head(count)
        assert list(own["dimension"]) == list(expected["dimension"])
        assert list(own["direction"]) == list(expected["direction"])
    assert (table["n"].between(2, 20)).all()
    words = {word for m in ATTRIBUTES for word in (m.more, m.less)} | {NO_CHANGE, SHAPE_CHANGE}
    assert set(table["name"]) <= words
    assert set(table["reach"]) <= {"global", "class-specific", "none"}
    assert ((table["reach"] == "none") == table["name"].isin([NO_CHANGE, SHAPE_CHANGE])).all()


def test_each_effect_lies_in_its_interval_and_the_name_is_the_largest(out, tiny_attributes):
    table = read_directions(out)
    for column in (*NAMES[:GREYS], "noise_sigma_per_std", "blur_sigma_per_std", "pixel_change_per_std"):
        low, value, high = (pd.to_numeric(table[f"{column}{end}"]) for end in ("_low", "", "_high"))
        known = value.notna() & low.notna()
        assert ((low <= value + 1e-6) & (value <= high + 1e-6))[known].all(), column
    named = {word: (m.name, sign) for m in ATTRIBUTES for word, sign in ((m.more, 1), (m.less, -1)) if word}
    seen = 0
    for row in table.to_dict("records"):
        if row["name"] in named:
            measurement, sign = named[row["name"]]
            assert np.sign(float(row[measurement])) == sign
            assert abs(float(row[measurement])) >= 0.05
            seen += 1
    assert seen, "the tiny generator must give named directions, else this tests nothing"
    spread = read_measured(tiny_attributes).spread[NAMES.index("noise")]
    value = pd.to_numeric(table["noise"]) * spread  # its level is the same in another unit
    np.testing.assert_allclose(value, pd.to_numeric(table["noise_sigma_per_std"]), rtol=1e-3, atol=1e-6)


def test_metrics_equal_a_recount(out):
    table, metrics = read_directions(out), read_metrics(out)
    named = ~table["name"].isin([NO_CHANGE, SHAPE_CHANGE])
    assert metrics["directions"] == len(table)
    assert metrics["all"]["named"] == named.sum()
    assert metrics["all"]["share_named"] == pytest.approx(named.mean(), rel=1e-4)
    assert metrics["global"]["share_named_interval"]["n"] == 3
    shares = metrics["all"]["share_of_name"]
    assert sum(entry["value"] for entry in shares.values()) == pytest.approx(1, abs=1e-4)


def test_the_ranking_and_figure_4_bear_the_names(out, tiny_ranking):
    named = pd.read_csv(out / "figures" / "ranking.csv", dtype={"scope": str}, keep_default_na=False)
    expected = read_ranking(tiny_ranking).head(20)
    pd.testing.assert_frame_equal(named.drop(columns="name"), expected, check_dtype=False)
    words = read_names(out)
    for row in named.itertuples():
        assert row.name == words.look_up(row.scope, row.dimension, row.direction)
    table, ranking = read_directions(out), read_ranking(tiny_ranking)
    columns = ["scope", "dimension", "score", "std"]
    merged = table[columns].merge(ranking[columns], on=["scope", "dimension"])
    np.testing.assert_allclose(merged[["score_x", "std_x"]].astype(float), merged[["score_y", "std_y"]], rtol=1e-5)
    leading = named[named["rank"] <= 2].set_index("dimension")["name"]
    figure = pd.read_csv(out / "figures" / "fig4_well_against_mis.csv", keep_default_na=False)
    top = figure[figure["group"] == "top"].set_index("dimension")["name"]
    assert all((top.loc[dimension] == name).all() for dimension, name in leading.items())
    assert set(figure.loc[figure["group"] == "random", "name"]) <= {*words.words.values(), UNNAMED}


def test_the_same_inputs_give_the_same_bytes(out, run, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    figures = {"directions", "class_directions", "ranking", "fig4_well_against_mis"}
    assert {f"figures/{name}.{kind}" for name in figures for kind in ("png", "csv")} <= set(first)


def test_the_batch_size_moves_nothing_beyond_rounding_and_classes_may_be_left_out(out, run):
    other = run(batch_size=7, class_dimensions=0)
    table = read_directions(out)
    pd.testing.assert_frame_equal(table[table["scope"] == "global"], read_directions(other), rtol=1e-3, atol=1e-3)
    assert not (other / "figures" / "class_directions.png").exists()
    assert read_metrics(other)["classes"]["share_named"] is None


def test_missing_or_foreign_inputs_are_named(refuse, tmp_path, tiny_ranking):
    ranking, histograms = tiny_ranking / "ranking.csv", tiny_ranking / "histograms.csv"
    few = pd.read_csv(ranking).query("dimension < 70").to_csv(index=False)
    for name, files in (
        ("none", {}),
        ("alone", {"ranking.csv": ranking.read_text()}),
        ("old", {"ranking.csv": ranking.read_text(), "histograms.csv": "values\nraw\n"}),
        ("few", {"ranking.csv": few, "histograms.csv": histograms.read_text()}),
    ):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    for changes, message in (
        ({"ranking": tmp_path / "none"}, r"ranking\.csv: missing; make it with: dvc repro rank_dimensions"),
        ({"attributes": tmp_path / "gone"}, r"attributes\.zarr: missing; make it with: dvc repro measure_attributes"),
        ({"ranking": tmp_path / "alone"}, r"histograms\.csv: missing; make it with: dvc repro rank_dimensions"),
        ({"ranking": tmp_path / "old"}, r"histograms\.csv: lacks the columns group, dimension, .*dvc repro rank_dim"),
        ({"ranking": tmp_path / "few"}, "ranks 70 dimensions in scope 'global', the generator has 80"),
    ):
        refuse(message, **changes)


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
    refused(r"directions\.csv: lacks the columns direction, name, second_name; make it", read_names, folder)
