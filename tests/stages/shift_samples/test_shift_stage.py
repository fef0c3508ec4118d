"""The stage on tiny networks, and its table read back."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from stages.common.artefacts.shifts import COLUMNS, Shifted, read_shifted, require_same, write_shifted
from stages.shift_samples.__main__ import main

SECTION = {
    "seed": 1, "samples": 40, "dimensions": 5, "max_shift_std": 2.0, "step_std": 1.0, "random_draws": 4,
    "batch_size": 50,
}  # fmt: skip


@pytest.fixture
def run(tmp_path, tiny_generator, tiny_classifier, tiny_population, tiny_ranking, tiny_judge, write_params):
    def start(name, *, classifier=tiny_classifier, ranking=tiny_ranking, **changes):
        params = write_params({"shift_samples": SECTION | changes})
        main(tiny_generator, classifier, tiny_population, ranking, tiny_judge, tmp_path / name, params)
        return tmp_path / name

    return start


def make_shifted():
    random = np.random.default_rng(1)
    right = random.random((2, 3, 4, 6)) < 0.5
    return Shifted(np.array([0, 0.5, 1, 1.5]), right[0], right[1], np.arange(6) % 2, 7)


def test_twice_gives_equal_bytes_at_any_batch_size(run, hash_folder):
    one = hash_folder(run("one"))
    assert one == hash_folder(run("two"))
    assert one == hash_folder(run("three", batch_size=7))


def test_table_holds_every_way_shift_and_sample(run):
    out = run("out")
    table = pd.read_csv(out / "shifts.csv")
    assert tuple(table) == COLUMNS
    assert len(table) == 3 * 3 * 40
    unmoved = table[table["shift_std"] == 0].groupby("way")["classifier_right"].agg(list)
    assert unmoved["top"] == unmoved["class"] == unmoved["random"]
    moved = table[table["shift_std"] == 2].groupby("way")["classifier_right"].mean()
    assert moved["top"] < moved["random"], "the ranking leads where the classifier fails"
    assert read_shifted(out).dimensions == 5


def test_a_black_box_is_moved_along_its_own_ranking(run, tiny_black_box, tiny_black_box_ranking):
    shifted = read_shifted(run("box", classifier=tiny_black_box, ranking=tiny_black_box_ranking))
    assert shifted.classifier[0, -1].mean() < shifted.classifier[2, -1].mean()


def test_what_was_written_is_read(tmp_path):
    shifted = make_shifted()
    write_shifted(tmp_path, shifted)
    again = read_shifted(tmp_path)
    for field in dataclasses.fields(Shifted):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(shifted, field.name))


def test_missing_rows_are_told(tmp_path):
    write_shifted(tmp_path, make_shifted())
    file = tmp_path / "shifts.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(StageError, match=r"shifts\.csv: 71 rows; allowed: one for each of 3 ways, 4 shifts and 6"):
        read_shifted(tmp_path)
    with pytest.raises(StageError, match=r"shifts\.csv: missing; make it with: dvc repro shift_samples"):
        read_shifted(tmp_path / "absent")


def test_classifiers_must_have_been_asked_the_same():
    one = make_shifted()
    require_same({"one": one, "two": one})
    other = dataclasses.replace(one, shifts_std=np.array([0.0, 1, 2, 3]))
    with pytest.raises(StageError, match=r"'two' holds 6 samples at shifts of 0, 1, 2, 3 std, 'one' 6 samples at"):
        require_same({"one": one, "two": other})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_std": 3.0}, r"shift_samples\.step_std: got 3\.0; allowed: at most max_shift_std"),
        ({"dimensions": 99}, r"shift_samples\.dimensions: got 99; allowed: at most the 80 style dimensions"),
        ({"samples": 201}, r"shift_samples\.samples: got 201; allowed: at most the 200 samples"),
        ({"random_draws": 41}, r"shift_samples\.random_draws: got 41; allowed: at most samples"),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(run, tmp_path, changes, message):
    with pytest.raises(StageError, match=message):
        run("out", **changes)
    assert not (tmp_path / "out").exists()
