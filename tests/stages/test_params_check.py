"""`python -m stages`: the whole of params.yaml is checked at once, and each fault is one line."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from failure_atlas.core.errors import StageError
from stages.__main__ import BROUGHT, KEY, ROOMS, check_all_brought, check_params, main
from stages.common.classifier_params import ENTRIES, complete_entries
from tests import yaml12 as yaml

PROJECT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
STUDY: dict[str, Any] = yaml.safe_load((PROJECT / "study" / "params.yaml").read_text(encoding="utf-8"))


def fault_of(path: Path) -> str:
    with pytest.raises(StageError) as caught:
        check_params(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def changed(*keys: str, value: Any) -> dict[str, Any]:
    """The project's params with one value changed or added."""
    document = copy.deepcopy(PARAMS)
    node = document
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    return document


def test_the_projects_own_params_are_good() -> None:
    check_params(PROJECT / "params.yaml")
    check_params(PROJECT / "study" / "params.yaml", partial=True)
    assert sorted({*PARAMS, *STUDY} - {KEY}) == ROOMS


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["corrupt_images", "severities"], [7], "corrupt_images.severities.0: got 7; allowed: less than or equal to 5"),
        (["sample_populations", "samples"], 0, "sample_populations.samples: got 0; allowed: greater than or equal"),
        (["rank_dimensions", "topk"], 3, "rank_dimensions.topk: unknown key; allowed here: seed, batch_size, "),
        (["rank_dimensions", "top_k"], "3", "rank_dimensions.top_k: got '3'; allowed: a valid integer"),
        (["rank_dimensions", "top_k"], 2.5, "rank_dimensions.top_k: got 2.5; allowed: a valid integer"),
        (["train_stylegan2", "learning_rate"], "fast", "train_stylegan2.learning_rate: got 'fast'; allowed: a valid"),
        (["train_stylegan2", "resume"], [{"file": "x"}], "train_stylegan2.resume.0.file: unknown key; allowed"),
        (["compute_curves", "top_k"], ["most"], "compute_curves.top_k.0: got 'most'; allowed: a valid integer or 'a"),
        (["compute_curves"], None, "compute_curves: got None; allowed: a valid dictionary"),
        (["train_classifiers"], None, "train_classifiers: got None; allowed: at least one named entry"),
        (["train_classifiers"], {}, "train_classifiers: got {}; allowed: at least one named entry"),
        (["train_classifiers"], [1], "train_classifiers: got [1]; allowed: at least one named entry"),
        (["bring_classifiers"], None, "bring_classifiers: got None; allowed: named entries, or {} for none"),
        (["bring_classifiers", "mine"], {}, "bring_classifiers.mine: allowed: exactly one of load, onnx, predict, url"),
        (
            ["bring_classifiers", "mine"], {"load": "my_model"},
            "bring_classifiers.mine.load: got 'my_model'; allowed: module:name, e.g. my_model:build",
        ),
        (
            ["bring_classifiers", "mine"], {"load": "m:Net", "weights": "../weights.pt"},
            "bring_classifiers.mine.weights: got '../weights.pt'; allowed: the name of a file inside",
        ),
        (
            ["bring_classifiers", "mine"], {"onnx": "m.onnx", "weights": "weights.pt"},
            "bring_classifiers.mine: allowed: weights only beside load; it stands beside onnx, which takes none",
        ),
        (
            ["bring_classifiers", "mine"], {"load": "m:Net", "input": {"range": [0, 0]}},
            "bring_classifiers.mine.input.range: got [0, 0]; allowed: two different numbers, e.g. [0, 1]",
        ),
        (
            ["bring_classifiers", "mine"], {"load": "m:Net", "input": {"size": 28}},
            "bring_classifiers.mine.input.size: unknown key; allowed here: crop_px, size_px, fit, interpolation, ch",
        ),
        (
            ["bring_classifiers", "mine"], {"url": "ftp://host/model"},
            "bring_classifiers.mine.url: got 'ftp://host/model'; allowed: an address that starts with http",
        ),
        (["train_classifiers", "clean"], 3, "train_classifiers.clean: got 3; allowed: a valid dictionary"),
        (["train_classifiers", "wide"], {}, "train_classifiers.wide.train_on: missing; add it"),
        (["train_classifiers", "corrupted", "width"], 12, "train_classifiers.corrupted.width: got 12; allowed: a"),
        (["train_classifiers", "corrupted", "depth"], 3, "train_classifiers.corrupted.depth: unknown key; allo"),
        (
            ["train_classifiers", "clean", "augmentation"], {"scale": 3.0},
            "train_classifiers.clean.augmentation.rotation_degrees: missing; add it (and 4 more)",
        ),
        (["train_classifiers", "wide"], None, "train_classifiers.wide: got None; allowed: a valid dictionary"),
        (
            ["bring_classifiers", "mine"], {"load": "m:Net", "weights": "."},
            "bring_classifiers.mine.weights: got '.'; allowed: the name of a file inside",
        ),
        (
            ["bring_classifiers", "mine"], {"load": "m:Net", "weights": "w" * 256},
            "bring_classifiers.mine.weights: got 'www",
        ),
        (["train_clasifiers"], {}, f"train_clasifiers: no stage of that name; sections: {KEY}, {', '.join(ROOMS)}"),
        (["classifiers"], {}, "classifiers: got {}; allowed: at least one line `NAME: SECTION`, where SECTION, train"),
        (["classifiers"], ["clean"], "classifiers: got ['clean']; allowed: at least one line"),
        (["classifiers", "My net"], "train_classifiers", "classifiers: got the name 'My net'; allowed: lower case"),
        (["classifiers", "clean"], "train_judges", "classifiers.clean: got 'train_judges'; allowed: train_classifiers"),
        (
            ["classifiers", "nowhere"], "train_classifiers",
            "classifiers.nowhere: train_classifiers has no entry 'nowhere'; add it; entries there: clean, corrupted",
        ),
    ],
)  # fmt: skip
def test_a_fault_names_key_value_and_what_is_allowed(
    write_params: Callable[[dict[str, Any]], Path], keys: list[str], value: Any, message: str
) -> None:
    assert fault_of(write_params(changed(*keys, value=value))).startswith(message)


@pytest.mark.parametrize("room", [room for room in PARAMS if room not in (KEY, "bring_classifiers")])
def test_each_section_is_needed_and_checked(write_params: Callable[[dict[str, Any]], Path], room: str) -> None:
    document = copy.deepcopy(PARAMS)
    section = document.pop(room)
    message = f"section '{room}' is missing; it is needed by the stage of that name"
    assert fault_of(write_params(document)) == message
    entry = next(iter(section)) if room == "train_classifiers" else None
    node = section[entry] if entry else section
    node["misspelt"] = 1
    place = f"{room}.{entry}" if entry else room
    known = ", ".join(ENTRIES[room].model_fields if entry else (key for key in node if key != "misspelt"))
    fault = fault_of(write_params(document | {room: section}))
    assert fault == f"{place}.misspelt: unknown key; allowed here: {known}"


@pytest.mark.parametrize("room", [room for room in STUDY if room not in PARAMS])
def test_a_section_of_the_study_may_be_missing_but_not_wrong(
    write_params: Callable[[dict[str, Any]], Path], room: str
) -> None:
    others = {name: section for name, section in STUDY.items() if name != room}
    check_params(write_params(others), partial=True)
    with pytest.raises(StageError, match=rf"{room}.*misspelt: unknown key; allowed here: "):
        check_params(write_params(others | {room: STUDY[room] | {"misspelt": 1}}), partial=True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("bring_classifiers: {mine: {load: my_model:Net}}\n", "found unexpected ':'"),
        ('bring_classifiers: {mine: {load: "my_model:Net"}}\n', "after dvc exp run -S, which drops quotes: "),
        ('bring_classifiers: {mine: {url: "http://host:80/"}}\n', "after dvc exp run -S, which drops quotes: "),
        ("bring_classifiers: {}\nbring_classifiers: {}\n", 'found duplicate key "bring_classifiers"'),
        ("report:\t{}\n", "found character '\\t' that cannot start any token"),  # which one of two readers lets pass
    ],
)
def test_what_dvc_would_refuse_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StageError, match=r"text with a colon stands on a line of its own, outside of braces") as caught:
        check_params(path, partial=True)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "files", "message"),
    [
        ({"load": "net:Net"}, None, "{folder}: no such folder; put the classifier's files there, or remove its entry"),
        ({"onnx": "net.onnx"}, [], "{folder}: holds no file; put the classifier's files there, or remove its entry"),
        (
            {"load": "net:Net", "weights": "best.pt"}, ["net.py", "last.pt"],
            "bring_classifiers.mine.weights: no file {folder}/best.pt; files there: last.pt, net.py",
        ),
        (
            {"load": "net:Net", "weights": "best.pt"}, ["net.py", "best.pt.dvc"],
            "bring_classifiers.mine.weights: no file {folder}/best.pt; files there: best.pt.dvc, net.py; fetch it with",
        ),
        (
            {"onnx": "net.onnx"}, ["other.onnx"],
            "bring_classifiers.mine.onnx: no file {folder}/net.onnx; files there: other.onnx",
        ),
        (
            {"predict": "box:predict"}, ["net.py"],
            "bring_classifiers.mine.predict: got 'box:predict'; {folder} holds no module box, and none is installed; ",
        ),
        (
            {"url": "http://127.0.0.1:1/"}, None,
            "{folder}: no such folder; nothing else tells DVC when the classifier changes; name it and its version in ",
        ),
        ({"load": "jinja2.loaders:Net"}, [], "{folder}: holds no file; nothing else tells DVC when the classifier "),
    ],
)  # fmt: skip
def test_what_a_brought_classifier_lacks_is_told_before_any_work(
    tmp_path: Path, entry: dict[str, Any], files: list[str] | None, message: str
) -> None:
    folder = tmp_path / "mine"
    if files is not None:
        folder.mkdir()
        for name in files:
            (folder / name).touch()
    with pytest.raises(StageError) as caught:
        check_all_brought({"bring_classifiers": {"mine": entry}}, tmp_path)
    assert str(caught.value).startswith(message.format(folder=folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "files"),
    [
        ({"load": "net:Net", "weights": "best.pt"}, ["net.py", "best.pt"]),
        ({"load": "net.model:Net"}, ["net/model.py"]),
        ({"load": "jinja2:Net"}, ["version.txt"]),
        ({"url": "http://127.0.0.1:1/"}, ["version.txt"]),
    ],
)
def test_what_is_there_is_enough_before_any_work(tmp_path: Path, entry: dict[str, Any], files: list[str]) -> None:
    for name in files:
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).touch()
    check_all_brought({"bring_classifiers": {"mine": entry}}, tmp_path)


def test_entries_are_shown_with_what_holds_where_a_key_is_left_out() -> None:
    clean = {"train_on": "clean", "width": 8}
    entries = {"train_classifiers": {"clean": clean}, "bring_classifiers": {"mine": {"load": "net:Net"}}}
    found = complete_entries({"report": {"dimensions": 5}, **entries}, Path("params.yaml"))
    assert list(found) == ["report", "train_classifiers", "bring_classifiers"]
    shown = found["train_classifiers"]["clean"]
    assert clean.items() < shown.items()
    assert (shown["seed"], shown["augmentation"]["rotation_degrees"]) == (1, 15.0)
    assert found["bring_classifiers"]["mine"]["outputs"] == "logits"
    with pytest.raises(StageError, match=r"^params\.yaml: train_classifiers\.clean\.train_on: missing; add it$"):
        complete_entries({"train_classifiers": {"clean": {}}}, Path("params.yaml"))


def test_of_an_entry_that_is_not_under_test_the_folder_alone_has_to_be_there(tmp_path: Path) -> None:
    document = {"classifiers": {"clean": "train_classifiers"}, "bring_classifiers": {"mine": {"load": "net:Net"}}}
    with pytest.raises(StageError, match=r"mine: no such folder, .* although classifiers does not name mine; make it"):
        check_all_brought(document, tmp_path)
    (tmp_path / "mine").mkdir()
    check_all_brought(document, tmp_path)


def test_the_folder_of_brought_classifiers_is_that_of_the_dag() -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert f"{BROUGHT.as_posix()}/${{key}}" in stages["bring_classifiers"]["do"]["deps"]


def test_the_command_prints_one_line_and_ends_with_1(
    write_params: Callable[[dict[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_params(changed("sample_populations", "samples", value=0))
    with pytest.raises(typer.Exit) as stop:
        main(path)
    assert stop.value.exit_code == 1
    captured = capsys.readouterr()
    assert captured.err == f"error: {path}: sample_populations.samples: got 0; allowed: greater than or equal to 1\n"
    assert not captured.out
    with pytest.raises(typer.Exit):
        main(path.parent / "gone.yaml")
    assert "no such params file" in capsys.readouterr().err


def test_from_a_shell(tmp_path: Path, write_params: Callable[[dict[str, Any]], Path]) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "stages", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    write_params(PARAMS)
    (tmp_path / "data").symlink_to(PROJECT / "data")  # the released files that params pin
    good = run()
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    write_params(changed("corrupt_images", "severities", value=[7]))
    bad = run("--params", "params.yaml")
    assert bad.returncode == 1
    (line,) = bad.stderr.splitlines()
    assert line == "error: params.yaml: corrupt_images.severities.0: got 7; allowed: less than or equal to 5"
    assert not bad.stdout
    under_test = {"classifiers": PARAMS["classifiers"] | {"mine": "bring_classifiers"}}
    write_params(changed("bring_classifiers", "mine", value={"load": "net:Net"}) | under_test)
    (line,) = run().stderr.splitlines()
    assert line.startswith("error: data/brought/mine: no such folder; put the classifier's files there, or remove")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "params.yaml"]
