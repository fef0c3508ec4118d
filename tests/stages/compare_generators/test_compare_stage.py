"""The stage on generators whose likeness is known."""

import json
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.directions.naming import NO_CHANGE
from stages.compare_generators.__main__ import main

SECTION = {"seed": 1, "top": [3, 5], "replicates": 400}
FALLING = [10, 9, 8, 7, 3, 2, 0.1, 0.1, 0.1, 0.1]  # conv0 carries nearly all
RISING = FALLING[::-1]
NAMES = ["noise +", "noise +", "blurrier", "fainter", "wider"]
OTHERS = ["slant left", "slant right", "taller", NO_CHANGE]


@pytest.fixture
def run(tmp_path, make_view, write_params):
    def start(name, first, second, **changes):
        params = write_params({"compare_generators": SECTION | changes})
        main(first[0], second[0], first[1], second[1], tmp_path / name, params)
        return json.loads((tmp_path / name / "metrics.json").read_text())

    return start


def test_twice_gives_equal_bytes_and_shares_by_hand(run, make_view, tmp_path, hash_folder):
    first = make_view("first", FALLING, NAMES, OTHERS, accuracy=0.9)
    second = make_view("second", FALLING, ["blurrier", "noise +", "taller", "wider", NO_CHANGE], OTHERS, accuracy=0.8)
    metrics = run("one", first, second)
    assert run("two", first, second) == metrics
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")

    assert metrics["first_population_accuracy"]["value"] == 0.9
    second_accuracy = metrics["second_population_accuracy"]
    assert (second_accuracy["value"], second_accuracy["n"]) == (0.8, 100)
    # Top 3 weigh 10, 9, 8: noise 19/27 and blur 8/27 against blur 10/27, noise 9/27, taller 8/27.
    assert metrics["top3_name_share_overlap"]["value"] == pytest.approx(17 / 27, abs=1e-5)
    assert metrics["top3_name_jaccard"]["value"] == pytest.approx(2 / 3, abs=1e-5)
    assert metrics["top3_names_in_both"] == ["blurrier", "noise +"]
    assert metrics["top3_names_in_second_only"] == ["taller"]
    # A dimension without a visible change is shared out like the others, but is no name to have in common.
    assert metrics["top5_name_jaccard"]["value"] == pytest.approx(3 / 5, abs=1e-5)
    assert metrics["layer_cosine"]["value"] == pytest.approx(1)
    assert metrics["layer_cosine_by_chance"]["p_value"] < 0.1

    table = pd.read_csv(tmp_path / "one" / "comparison.csv")
    for _, part in table.groupby(["kind", "dimensions"]):
        assert part["first_share"].sum() == pytest.approx(1, abs=1e-4)
        assert part["second_share"].sum() == pytest.approx(1, abs=1e-4)
    layers = table[table["kind"] == "layer"].set_index("group")
    assert list(layers.index) == ["conv0", "torgb0", "conv1"]
    assert layers.loc["conv0", "first_share"] == pytest.approx(34 / np.sum(FALLING), abs=1e-5)
    noise = table.query("dimensions == 3 and group == 'noise +'").iloc[0]
    assert noise["first_low"] <= noise["first_share"] == pytest.approx(19 / 27, abs=1e-5)
    assert NO_CHANGE not in set(table.query("dimensions == 3")["group"])
    assert (tmp_path / "one" / "figures" / "shares.png").stat().st_size > 1000
    written = [tmp_path / "one" / name for name in ("figures/shares.csv", "comparison.csv")]
    assert written[0].read_bytes() == written[1].read_bytes()


def test_generators_that_have_nothing_in_common(run, make_view):
    first = make_view("first", FALLING, NAMES, OTHERS)
    second = make_view("second", RISING, ["taller", "slant left", "slant right", "taller", "taller"], ["noise +"] * 4)
    metrics = run("out", first, second)
    assert metrics["top3_name_share_overlap"]["value"] == 0
    assert metrics["top3_name_share_overlap_by_chance"]["p_value"] == 1
    assert metrics["top3_names_in_both"] == []
    assert metrics["layer_cosine"]["value"] < 0.3
    assert metrics["layer_cosine_by_chance"]["p_value"] > 0.5


def test_chance_is_what_dealing_out_gives(run, make_view):
    # One name in three of each generator's six, equal influence: of the leading three any set is as likely.
    equal = [1.0] * 6 + [0.1] * 4
    words = ["a", "a", "b", "b", "c", "c"]
    view = make_view("first", equal, words[:3], words[3:])
    metrics = run("out", view, view, top=[3], replicates=5000)
    # Slow twin: all 20 x 20 pairs of dealt sets.
    sets = [[words[place] for place in chosen] for chosen in combinations(range(6), 3)]
    expected = np.mean([sum(min(x.count(w), y.count(w)) for w in "abc") / 3 for x, y in product(sets, sets)])
    assert metrics["top3_name_share_overlap_by_chance"]["value"] == pytest.approx(expected, abs=0.02)


def test_folders_that_do_not_belong_together(run, make_view, tmp_path):
    first, second = make_view("first", FALLING, NAMES, OTHERS), make_view("second", RISING, NAMES, OTHERS)
    other, old, few = (make_view(name, FALLING, NAMES, OTHERS) for name in ("other", "old", "few"))
    text = (other[1] / "ranking.csv").read_text()
    (other[1] / "ranking.csv").write_text(text.replace("torgb0", "conv1"))
    (old[0] / "directions.csv").write_text("scope,rank\nglobal,1\n")
    pd.read_csv(few[1] / "ranking.csv", dtype={"scope": str}).query("dimension != 3").to_csv(few[1] / "ranking.csv")
    gone = tmp_path / "absent"
    with pytest.raises(StageError, match=r"--first: names 5 dimensions of scope 'global', compare_generators\.top"):
        run("out", first, first, top=[3, 6])
    for one, two, message in (
        ((first[0], second[1]), second, r"directions\.csv: its leading dimensions are not those of .*ranking\.csv"),
        ((gone, first[1]), second, r"directions\.csv: missing; make it with: dvc repro name_directions"),
        ((first[0], gone), second, r"ranking\.csv: missing; make it with: dvc repro rank_dimensions"),
        (old, second, r"directions\.csv: lacks the columns dimension, name; make it again"),
        (few, second, r"scope 'global' does not hold each dimension once; make it again"),
        (first, other, r"has the layers conv0 \(4\), torgb0 \(2\), conv1 \(4\); --ranking-second has"),
    ):
        with pytest.raises(StageError, match=message):
            run("out", one, two)
