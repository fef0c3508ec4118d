"""`failure-atlas image` on a project of tiny networks: what it says, what it leaves, what it refuses."""

import json
import shutil

import numpy as np
import pytest
import typer
from PIL import Image

from failure_atlas.core.arrays import read_array
from flows.errors import FlowError
from flows.image_command import image
from tests import yaml12 as yaml

PARAMS = {
    "classifiers": {"one": "train_classifiers", "two": "train_classifiers"},
    "generator": "train_stylegan2",
    "prepare_images": {"size_px": 32, "channels": 1, "fit": "pad"},
    "invert_images": {"seed": 1, "inside_share": 0.99, "steps": 3, "style_steps": 2, "batch_size": 50},
    "find_failures": {
        "confidence": 0.6, "judge_weight": 12.0, "inside_share": 0.95, "step_std": 0.2, "most_steps": 15,
        "restart_steps": 8,
    },
}  # fmt: skip
REAL = {"structure_percentiles": {"50": 0.05, "99": 0.1}, "contrast_percentiles": {"1": 0.1, "50": 0.5}}


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_generator, tiny_classifier, robust_judge, tiny_judge, tiny_population):
    """The files of a run that the command reads, and it stands there."""
    data = tmp_path / "data"
    files = {
        tiny_generator: "train_stylegan2/generator.safetensors", robust_judge: "train_judges/judge.safetensors",
        tiny_judge: "train_judges/auditor.safetensors",
    }  # fmt: skip
    for name in PARAMS["classifiers"]:
        (data / "train_classifiers" / name).mkdir(parents=True)
        shutil.copy2(tiny_classifier, data / "train_classifiers" / name / "classifier.safetensors")
    for source, target in files.items():
        (data / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, data / target)
    shutil.copytree(tiny_population, data / "sample_populations")
    (data / "invert_images").mkdir()
    (data / "invert_images/metrics.json").write_text(json.dumps(REAL), encoding="utf-8")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def known(project):
    """A picture that the generator made, and its class."""
    store = project / "data/sample_populations/population.zarr"
    Image.fromarray(read_array(store, "images")[7, 0]).save(project / "known.png")
    return project / "known.png", str(read_array(store, "labels")[7])


def read_told(project, name, folder="pictures"):
    return json.loads((project / folder / f"{name}.atlas.json").read_text(encoding="utf-8"))


def test_a_picture_of_the_world_is_explained(project, known, capsys):
    path, label = known
    image([path], ["one"], label)
    told, said = read_told(project, "known"), capsys.readouterr().out
    assert told["domain"] == "in the domain"
    assert told["reconstruction"]["class"] == label
    assert told["said"].keys() == {"judge", "auditor", "one"}
    assert told["nearest_true_failure"].keys() == {"one"}
    failure = told["nearest_true_failure"]["one"]
    if failure["found"]:
        assert failure["said"]["classifier"]["class"] != label
        assert failure["said"]["judge"]["class"] == label
        assert f"one fails {failure['distance_std']:.1f} std away" in said
    assert said.startswith(f"{path}: ")
    assert (project / "pictures/known.atlas.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(each.name for each in (project / "pictures").iterdir()) == ["known.atlas.json", "known.atlas.png"]


def test_without_a_class_it_is_what_the_judge_sees_and_all_classifiers_are_asked(project, known):
    image([known[0]], None, None)
    told = read_told(project, "known")
    assert told["reconstruction"]["class"] == told["said"]["judge"]["class"]
    assert told["nearest_true_failure"].keys() == {"one", "two"}
    assert told["nearest_true_failure"]["one"] == told["nearest_true_failure"]["two"]  # the same network


def test_blank_and_foreign_pictures_are_out_of_the_domain_and_bad_ones_are_named(project, known, capsys):
    Image.new("L", (28, 28)).save(project / "blank.png")
    stripes = np.tile(np.where(np.arange(32) % 16 < 8, 255, 0), (32, 1)).astype(np.uint8)
    Image.fromarray(np.stack([stripes] * 3, axis=2)).save(project / "stripes.png")
    Image.new("L", (40, 30)).save(project / "large.png")
    (project / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(typer.Exit) as stop:
        image([project / f"{name}.png" for name in ("blank", "stripes", "large", "text", "absent")], ["one"], None)
    assert stop.value.exit_code == 1
    said = capsys.readouterr().out
    assert read_told(project, "blank")["domain"] == "too little contrast"
    assert read_told(project, "stripes")["domain"] == "reconstruction too far"
    assert said.count("OUT OF THE DOMAIN") == 2
    assert "large.png: not used: it is 40 x 30 px, size_px is 32; set prepare_images.fit: resize, or scale it" in said
    assert "text.png: not used: " in said
    assert "absent.png: not used: " in said
    assert "padded" in said
    assert "converted to grey" in said


def test_two_pictures_of_one_name_are_kept_apart(project, known):
    (project / "other").mkdir()
    shutil.copy2(known[0], project / "other/known.png")
    image([known[0], project / "other/known.png"], ["one"], None, project / "told")
    first, second = read_told(project, "known", "told"), read_told(project, "known-2", "told")
    assert first == second  # it does not matter beside which others a picture is


@pytest.mark.parametrize(
    ("classifier", "label", "message"),
    [(["three"], None, "--classifier: got 'three'; allowed: one, two"),
     (["one"], "x", "--class: got 'x'; allowed: 0, 1, 2")],
)  # fmt: skip
def test_unknown_names_are_refused(project, known, classifier, label, message):
    with pytest.raises(FlowError, match=message):
        image([known[0]], classifier, label)
    assert not (project / "pictures").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [("params.yaml", "params.yaml: cannot be read"), ("data/invert_images/metrics.json", "dvc repro invert_images"),
     ("data/train_judges/judge.safetensors", "judge.safetensors"), ("dvc.yaml", "no dvc.yaml here")],
)  # fmt: skip
def test_a_missing_result_is_named(project, known, file, message):
    (project / file).unlink()
    with pytest.raises(FlowError, match=message):
        image([known[0]], ["one"], None)
