"""Another world's params, written into params.yaml line by line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.errors import FlowError
from flows.world_command import enter_world
from stages.__main__ import check_params
from tests import yaml12 as yaml
from tests.house import ROOT

WORLDS = sorted((ROOT / "worlds").glob("*.yaml"))
PARAMS = """\
images:
  size_px: 32   # 32 | 64
  recipe: [blur,
    noise]      # in this order
criteria:
  - {id: first, bar: 1, why: "a: b"}
  - {id: second, bar: 2,
     why: c}    # a comment
resume:
  - {path: a}
train_classifiers:
  clean:
    train_on: clean   # said by all
    # width: 8
  other:
    train_on: both
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "world.yaml"
        path.write_text(text)
        return path

    return write


def test_values_change_and_every_other_character_stays(write):
    world = write(
        "images: {size_px: 128, recipe: [fog, null, 'no']}\ncriteria: {second: {bar: 0.5}, first: {gate: [x, 1]}}\n"
        "resume: [{path: b}, {path: c}]\ntrain_classifiers: {clean: {width: 16}}\n"
    )
    text, keys = enter_world(PARAMS, world)
    assert keys == [
        "images.size_px", "images.recipe", "criteria.first.gate", "criteria.second.bar", "resume",
        "train_classifiers.clean.width",
    ]  # fmt: skip
    expected = PARAMS.replace("32   # 32", "128  # 32").replace("bar: 2", "bar: 0.5")
    expected = expected.replace("  - {path: a}", "  - {path: b}\n  - {path: c}")
    expected = expected.replace('why: "a: b"', 'why: "a: b", gate: [x, 1]')
    expected = expected.replace("[blur,\n    noise]      #", "[fog, null, no]      #")
    assert text == expected.replace("# said by all", "# said by all\n    width: 16")
    assert enter_world(text, world) == (text, [])


@pytest.mark.parametrize(
    ("world", "told"),
    [
        ("criteria: {third: {bar: 1}}", r"world\.yaml: criteria\.third: params\.yaml has no such key"),
        ("images: [", r"world\.yaml: not valid YAML: "),
        ("- images", r"world\.yaml: no mapping of sections"),
    ],
)
def test_what_cannot_be_written_is_refused(write, world, told):
    with pytest.raises(FlowError, match=told):
        enter_world(PARAMS, write(world))


@pytest.mark.parametrize("world", WORLDS, ids=[path.stem for path in WORLDS])
def test_params_of_every_world_are_good(world, tmp_path):
    text, keys = enter_world((ROOT / "params.yaml").read_text(encoding="utf-8"), world)
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    check_params(path)
    assert keys
    held, said = yaml.safe_load(text), yaml.safe_load(world.read_text(encoding="utf-8"))
    assert held["prepare_images"].items() >= said["prepare_images"].items()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the params, the worlds and no checker but one that a test may write."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "worlds", tmp_path / "worlds")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_world_is_entered_once_and_those_there_are_told(project):
    runner, before = CliRunner(), (project / "params.yaml").read_text(encoding="utf-8")
    assert "traffic_signs    German traffic signs (GTSRB)" in runner.invoke(app, ["world"]).output
    first = runner.invoke(app, ["world", "traffic_signs"])
    assert first.exit_code == 0
    assert "params set for traffic_signs: prepare_images.source, " in first.output
    after = (project / "params.yaml").read_text(encoding="utf-8")
    assert "source: gtsrb " in after
    kept = [line for line in before.splitlines() if line.lstrip().startswith("#") or line.endswith(":")]
    assert [line for line in after.splitlines() if line in kept] == kept  # each comment of its own, each section
    again = runner.invoke(app, ["world", "traffic_signs"])
    assert "set for traffic_signs already" in again.output
    assert (project / "params.yaml").read_text(encoding="utf-8") == after
    unknown = runner.invoke(app, ["world", "moon"])
    assert str(unknown.exception) == "moon: no such world; worlds/ holds: traffic_signs"


def test_params_that_the_checker_refuses_stay_as_they_were(project):
    before = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "stages").mkdir()
    (project / "stages/__init__.py").touch()
    (project / "stages/__main__.py").write_text("import sys\nsys.exit('error: not so')\n")
    refused = CliRunner().invoke(app, ["world", "traffic_signs"])
    assert str(refused.exception) == "not so"
    assert (project / "params.yaml").read_text(encoding="utf-8") == before
