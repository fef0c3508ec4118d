"""The whole stage on a real, tiny generator and real digits."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import write_arrays
from failure_atlas.directions.measurements import GREYS, MEASUREMENTS, NAMES
from failure_atlas.directions.naming import NO_CHANGE, SHAPE_CHANGE
from stages.common.artefacts.names import UNNAMED, read_names
from stages.common.artefacts.ranking import read_ranking
from stages.name_directions.__main__ import main
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "dimensions": 3, "class_dimensions": 1, "samples": 20, "step_std": 1.0, "fdr": 0.05, "check_images": 10,
    "batch_size": 64,
}  # fmt: skip


def write_images(path, images):
    """A store as prepare_images leaves it, test split only."""
    arrays = {
        "test_images": (images, ("sample", "channel", "y", "x")),
        "test_labels": (np.arange(len(images)) % 10, ("sample",)),
    }
    write_arrays(path, arrays, {"class_names": list("0123456789")})
    return path


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory, digits):
    """With 24 real clean digits."""
    clean = write_images(tmp_path_factory.mktemp("clean") / "images.zarr", digits[:24])
    return Stage(request, main, "name_directions", SECTION, clean_images=clean)


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
    words = {word for m in MEASUREMENTS for word in (m.more, m.less)} | {NO_CHANGE, SHAPE_CHANGE}
    assert set(table["name"]) <= words
    assert set(table["reach"]) <= {"global", "class-specific", "none"}
    assert ((table["reach"] == "none") == table["name"].isin([NO_CHANGE, SHAPE_CHANGE])).all()


def test_each_effect_lies_in_its_interval_and_the_name_is_the_largest(out):
    table = read_directions(out)
    for column in (*NAMES[:GREYS], "noise_sigma_per_std", "blur_sigma_per_std", "pixel_change_per_std"):
        low, value, high = (pd.to_numeric(table[f"{column}{end}"]) for end in ("_low", "", "_high"))
        known = value.notna() & low.notna()
        assert ((low <= value + 1e-6) & (value <= high + 1e-6))[known].all(), column
    named = {word: (m.name, sign) for m in MEASUREMENTS for word, sign in ((m.more, 1), (m.less, -1)) if word}
    seen = 0
    for row in table.to_dict("records"):
        if row["name"] in named:
            measurement, sign = named[row["name"]]
            assert np.sign(float(row[measurement])) == sign
            assert abs(float(row[measurement])) >= 0.05
            seen += 1
    assert seen, "the tiny generator must give named directions, else this tests nothing"
    spreads = pd.read_csv(out / "spreads.csv").set_index("measurement")
    assert (spreads["n"] == 200).all()
    value = pd.to_numeric(table["noise"]) * spreads.loc["noise", "spread"]  # its level is the same in another unit
    np.testing.assert_allclose(value, pd.to_numeric(table["noise_sigma_per_std"]), rtol=1e-3, atol=1e-6)


def test_metrics_equal_a_recount(out):
    table, metrics = read_directions(out), read_metrics(out)
    named = ~table["name"].isin([NO_CHANGE, SHAPE_CHANGE])
    assert (metrics["directions"], metrics["shape_words"]) == (len(table), "strokes")
    assert metrics["all"]["named"] == named.sum()
    assert metrics["all"]["share_named"] == pytest.approx(named.mean(), rel=1e-4)
    assert metrics["global"]["share_named_interval"]["n"] == 3
    shares = metrics["all"]["share_of_name"]
    assert sum(entry["value"] for entry in shares.values()) == pytest.approx(1, abs=1e-4)
    check = pd.read_csv(out / "figures" / "naming_check.csv")
    right = check.loc[check["expected"] == check["named"], "groups"].sum()
    assert metrics["naming_accuracy"] == pytest.approx(right / check["groups"].sum(), rel=1e-4)
    interval = metrics["naming_accuracy_interval"]
    assert interval["low"] <= metrics["naming_accuracy"] <= interval["high"]
    assert interval["n"] == check["groups"].sum()


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
    figures = {"directions", "class_directions", "calibration", "naming_check", "ranking", "fig4_well_against_mis"}
    assert {f"figures/{name}.{kind}" for name in figures for kind in ("png", "csv")} <= set(first)


def test_the_batch_size_moves_nothing_beyond_rounding_and_classes_may_be_left_out(out, run):
    other = run(batch_size=7, class_dimensions=0)
    table = read_directions(out)
    pd.testing.assert_frame_equal(table[table["scope"] == "global"], read_directions(other), rtol=1e-3, atol=1e-3)
    assert not (other / "figures" / "class_directions.png").exists()
    assert read_metrics(other)["classes"]["share_named"] is None


WRONG_PARAMS = [
    ({"samples": 1}, r"name_directions\.samples: got 1; allowed: greater than or equal to 2"),
    ({"step_std": 0}, r"name_directions\.step_std: got 0; allowed: greater than 0"),
    ({"fdr": 1.0}, r"name_directions\.fdr: got 1\.0; allowed: less than 1"),
    ({"check_images": 9}, r"name_directions\.check_images: got 9; allowed: greater than or equal to 10"),
    ({"check_images": 13}, r"24 test images; name_directions\.check_images: got 13; allowed: at most 12"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_PARAMS)
def test_wrong_params_are_named(refuse, changes, message):
    refuse(message, **changes)


def test_missing_or_foreign_inputs_are_named(refuse, tmp_path, tiny_ranking, digits):
    faint = write_images(tmp_path / "faint.zarr", digits[:24] // 36)
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
        ({"clean_images": tmp_path / "gone"}, r"gone: missing; make it with: dvc repro prepare_images"),
        ({"images": tmp_path / "gone"}, r"gone: missing; make it with: dvc repro corrupt_images"),
        ({"ranking": tmp_path / "alone"}, r"histograms\.csv: missing; make it with: dvc repro rank_dimensions"),
        ({"ranking": tmp_path / "old"}, r"histograms\.csv: lacks the columns group, dimension, .*dvc repro rank_dim"),
        ({"ranking": tmp_path / "few"}, "ranks 70 dimensions in scope 'global', the generator has 80"),
        ({"clean_images": faint}, r"faint\.zarr: cannot be calibrated on: 0 images show a stroke at noise 0\.0"),
    ):
        refuse(message, **changes)
