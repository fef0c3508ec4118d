"""The public form of a survey, made small: two people and a judge whose answers are known."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.core.errors import StageError
from stages.judge_failures.agreement import main
from stages.judge_failures.survey import NOTHING, compare_people, read_survey

NAMES = ["3", "5", "8"]
NONE = "Not a digit"
# Of each image: what two people say, and the judge's probability of 5, the class that was meant.
ROWS = [
    ("Digit 5", "Digit 5", 0.9), ("Digit 5", "Digit 5", 0.85), ("Digit 5", "Digit 5", 0.6), ("Digit 3", "Digit 3", 0.9),
    ("Digit 3", "Digit 8", 0.1), (NONE, NONE, 0.1), ("Digit 3", NONE, 0.95), ("Digit 5", "Digit 3", 0.95),
]  # fmt: skip


class Judge:
    """Gives 5 what the top left pixel says, and 3 the rest."""

    def __call__(self, images):
        own = images[:, 0, 2, 2].double()
        return torch.stack([1 - own - 1e-9, own, torch.full_like(own, 1e-9)], dim=1).log()


@pytest.fixture
def files(tmp_path):
    """A function that writes table and images; changes: of the columns of the table, and images."""

    def write(images=None, **columns):
        table = {"ID": [f"x_{row}" for row in range(len(ROWS))], "Expected": "5", "Predicted": "3"}
        table |= {"ASS 1": [row[0] for row in ROWS], "ASS 2": [row[1] for row in ROWS]}
        pd.DataFrame(table | columns).to_csv(tmp_path / "survey.csv", index=False)
        if images is None:
            images = np.zeros((len(ROWS), 28, 28, 1), np.float32)
            images[:, 0, 0, 0] = [row[2] for row in ROWS]
            images[:, 9, 9, 0] = 1.2
        np.savez(tmp_path / "images.npz", images=images)
        return tmp_path / "survey.csv", tmp_path / "images.npz"

    return write


def test_precision_and_recall_are_of_the_images_on_which_both_say_alike(files):
    survey = read_survey(*files(), NAMES)
    assert survey.images.shape == (8, 1, 32, 32)
    assert survey.images[0, 0, 11, 11] == 255, "clipped as a screen does"
    assert survey.images[1, 0, 2, 2] == round(0.85 * 255), "on black, in the middle"
    assert survey.said.tolist()[3:7] == [[0, 0], [0, 2], [NOTHING, NOTHING], [0, NOTHING]]
    found = compare_people(survey, Judge(), 0.8, np.random.default_rng(1))
    shares = {name: (held["value"], held["n"]) for name, held in found.items() if isinstance(held, dict)}
    # 0 to 5: three true failures, of which the judge finds two, and one false one.
    assert found["people_alike"] == 6
    assert shares["precision"] == (pytest.approx(2 / 3), 3)
    assert shares["recall"] == (pytest.approx(2 / 3), 3)
    # It is sure and both name one digit in 0, 1 and 3, where it says 5 and they say 3.
    assert shares["judge_agrees_where_sure"] == (pytest.approx(2 / 3), 3)
    assert shares["people_agreement"] == (5 / 8, 8)
    assert shares["people_kappa"][1] == 8
    assert compare_people(survey, Judge(), 0.5, np.random.default_rng(1))["recall"]["value"] == 1


def test_the_command_asks_a_judge_of_a_file_and_repeats_itself(tmp_path, files, judge, hash_folder):
    table, images = files()
    for name in ("out", "again"):
        main(survey=table, images=images, judge=judge, out=tmp_path / name)
    assert hash_folder(tmp_path / "out") == hash_folder(tmp_path / "again")
    found = json.loads((tmp_path / "out" / "survey.json").read_text())
    assert (found["confidence"], found["images"]) == (0.6, 8), "the judge's own"
    main(survey=table, images=images, judge=judge, confidence=0.9, out=tmp_path / "sure")
    assert json.loads((tmp_path / "sure" / "survey.json").read_text())["confidence"] == 0.9
    with pytest.raises(StageError, match=r"--confidence: got 0\.4; allowed: at least 0.5 and less than 1"):
        main(survey=table, images=images, judge=judge, confidence=0.4, out=tmp_path / "out")
    colour = np.zeros((len(ROWS), 28, 28, 3), np.uint8)
    with pytest.raises(StageError, match="the judge cannot look at images of 3 channels"):
        main(survey=table, images=files(images=colour)[1], judge=judge, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"Expected": ["5"] * 7 + ["6"]},
            r"survey\.csv: row 9: Expected: got '6'; allowed: a class of the judge: 3, 5, 8",
        ),
        ({"ASS 1": NONE, "ASS 2": NONE}, r"no word in ASS 1 and ASS 2 ends in a class \(3, 5, 8\)"),
        ({"images": np.zeros((8, 40, 28))}, r"images has the shape \[8, 40, 28\]; needed: .* of at most 32 px"),
        ({"images": np.zeros((7, 28, 28))}, r"images\.npz: 7 images, .*survey\.csv has 8 rows"),
        ({"images": np.full((8, 28, 28), 255.0)}, "images is float64; allowed: uint8, or floats in about 0 to 1"),
        ({"images": np.full((8, 28, 28), np.nan)}, "images is float64; allowed: uint8, or floats in about 0 to 1"),
        ({"images": np.zeros((8, 28, 28), int)}, "images is int64; allowed: uint8, or floats"),
    ],
)
def test_files_of_another_form_are_named(files, changes, message):
    with pytest.raises(StageError, match=message):
        read_survey(*files(**changes), NAMES)


def test_missing_damaged_and_large_files_are_named(tmp_path, files, monkeypatch):
    table, images = files()
    with pytest.raises(StageError, match="missing; use the table of the survey"):
        read_survey(tmp_path / "nowhere.csv", images, NAMES)
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "other.npz", pictures=np.zeros(3))
    np.savez(tmp_path / "objects.npz", images=np.array([{}]))
    for name in ("nowhere", "text", "other", "objects"):
        with pytest.raises(StageError, match=rf"{name}\.npz: no \.npz file with an array images \(.+\); give that of"):
            read_survey(table, tmp_path / f"{name}.npz", NAMES)
    pd.DataFrame({"Expected": ["5"]}).to_csv(tmp_path / "few.csv")
    with pytest.raises(StageError, match=r"few\.csv: lacks the columns ASS 1, ASS 2"):
        read_survey(tmp_path / "few.csv", images, NAMES)
    monkeypatch.setattr("stages.judge_failures.survey.MOST_UNPACKED", 10)
    with pytest.raises(StageError, match=r"images\.npz: unpacks to [\d,]+ bytes; allowed: at most 10"):
        read_survey(table, images, NAMES)
    monkeypatch.setattr("stages.judge_failures.survey.MOST_BYTES", 10)
    with pytest.raises(StageError, match=r"survey\.csv: \d+ bytes; allowed: at most 10"):
        read_survey(table, images, NAMES)
