"""Two runs side by side: plain values, then real commits, an experiment, bundles and the workspace."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from scipy import stats

from flows.compare.differences import (
    APART_BY_CHANCE,
    Change,
    Move,
    Number,
    diff_flat,
    flatten,
    read_lock,
    read_numbers,
    tell_move,
)
from flows.compare.sources import open_source
from flows.compare_command import compare
from flows.errors import FlowError
from tests.flows.conftest import call
from tests.flows.evidence.conftest import commit, make_project, repro
from tests.flows.evidence.conftest import run as shell

# A stage that writes what its params say, in the form of this project's results.
MAKE = """
import json, os
from ruamel.yaml import YAML
said = YAML(typ="safe").load(open("params.yaml"))["make"]
seed = open("inputs/images.txt").read()
def save(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").write(text)
accuracy = {"value": said["accuracy"], "low": said["accuracy"] - 0.01, "high": said["accuracy"] + 0.01, "n": 1000}
save("data/train/clean/metrics.json", json.dumps({"accuracy": accuracy, "steady": 1.0, "loss": 1 - said["accuracy"]}))
area = {"value": 0.1, "low": 0.08, "high": 0.12, "n": 500}
curves = {"paired": {"b_minus_a": {"area": area}}, "clean": {"area": said["area"], "area_interval": area}}
save("data/curves/metrics.json", json.dumps(curves))
save("data/population.zarr", said["population"])
save("data/generator.safetensors", "weights")
names = {77: "noise +", 0: "thinner"}
rows = "".join(f"global,{rank},{dimension},0.5,{sign},{names.get(dimension, '')}\\n"
               for rank, (dimension, sign) in enumerate(said["ranking"], 1))
save("data/name_directions/clean/leading.csv", "scope,rank,dimension,score,direction,name\\n" + rows)
rate = 1 - said["accuracy"]
save("data/find_modes/clean/modes.csv", "rank,sentence,rate,rate_low,rate_high,n,real_rate,real_rate_low,"
     f"real_rate_high,n_real,definition\\n1,fails: blur above 2 px,{rate},{rate - 0.01},{rate + 0.01},500,,,,0,"
     '"{""class"": null, ""bounds"": {""blur"": [2.0, null]}}"\\n')
verdict = "pass" if said["accuracy"] - 0.01 >= 0.9 else "fail"
gate = {"id": "accuracy", "verdict": verdict, "comparison": ">=", "bar": 0.9, "found": accuracy}
save("data/acceptance/gates.json", json.dumps({"criteria": [gate, {"id": "other", "verdict": "pass", "bar": 1}]}))
"""
RANKING = [[dimension, 1] for dimension in range(12)]
FIRST = {"accuracy": 0.95, "area": 0.90, "population": "frozen", "ranking": RANKING}
SECOND = FIRST | {"accuracy": 0.88, "area": 0.91, "ranking": [[77, -1], [1, -1], *RANKING[2:9], [10, 1], [0, 1]]}
OUTS = ["data/population.zarr", "data/generator.safetensors"]
MODES = "data/find_modes/clean/modes.csv"
KEPT = ["data/name_directions/clean/leading.csv", "data/acceptance/gates.json", MODES]
METRICS = ["data/train/clean/metrics.json", "data/curves/metrics.json"]
Compare = Callable[..., str]


def test_flat_keys_and_lists_by_name() -> None:
    nested = {"a": {"b": 1, "c": [1, 2]}, "d": [{"id": "x", "bar": 1}, {"id": "y", "bar": 2}], "e": {}, "f": None}
    assert flatten(nested) == {"a.b": 1, "a.c": [1, 2], "d.x.bar": 1, "d.y.bar": 2, "e": {}, "f": None}
    twice = [{"id": "x", "bar": 1}, {"id": "x", "bar": 2}]
    assert flatten({"d": twice}) == {"d": twice}
    assert flatten({}) == {}


def test_changes_tell_added_and_gone_keys_from_null() -> None:
    old, new = {"same": 1, "gone": 2, "null": None}, {"same": 1, "moved": 3}
    assert diff_flat(old, new) == [Change("moved", None, 3), Change("gone", 2, None), Change("null", None, None)]


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        ((0.5, 0.4, 0.6), (0.8, 0.7, 0.9), Move.BEYOND),
        ((0.8, 0.7, 0.9), (0.5, 0.4, 0.6), Move.BEYOND),
        ((0.5, 0.4, 0.6), (0.7, 0.6, 0.8), Move.WITHIN),
        ((0.5, 0.4, None), (0.8, 0.7, 0.9), Move.WITHIN),
        ((0.5, 0.4, None), (0.2, 0.1, 0.3), Move.BEYOND),
        ((None, None, None), (0.2, 0.1, 0.3), Move.WITHIN),
    ],
)
def test_intervals_that_lie_apart(old: tuple[float, float, float], new: tuple[float, float, float], move: Move) -> None:
    numbers = [Number(*side, n=10, has_interval=True) for side in (old, new)]
    assert tell_move(*numbers) is move
    assert tell_move(Number(1.0), numbers[1]) is Move.UNKNOWN


def test_how_often_intervals_lie_apart_by_chance() -> None:
    z = stats.norm.ppf(0.975)
    assert math.isclose(APART_BY_CHANCE, 2 * stats.norm.sf(2 * z / math.sqrt(2)), rel_tol=1e-6)


def test_numbers_with_their_intervals_in_both_forms() -> None:
    metrics = {
        "a": {"value": 1, "low": 0, "high": None, "n": 5}, "b": 2.0, "b_interval": {"low": 1, "high": 3, "n": 6},
        "deep": {"c": 3, "word": "x", "flag": True}, "none": None, "list": [1, 2], "lone_interval": {"low": 1},
    }  # fmt: skip
    assert read_numbers(metrics) == {
        "a": Number(1, 0, None, 5, has_interval=True), "b": Number(2.0, 1, 3, 6, has_interval=True),
        "deep.c": Number(3), "none": Number(None), "lone_interval.low": Number(1),
    }  # fmt: skip


def test_a_lock_sorts_inputs_code_and_results() -> None:
    lock = {
        "stages": {
            "a": {
                "cmd": "python   a.py", "params": {"params.yaml": {"a": {"x": 1}}},
                "deps": [{"path": path, "md5": md5} for path, md5 in (("a.py", "1"), ("in", "2"), ("stages/a", "6"))],
                "outs": [{"path": "d/a", "md5": "3.dir"}],
            },
            "b": {
                "cmd": ["one", "two"],
                "deps": [{"path": path, "md5": md5} for path, md5 in (("d/a/x", "4"), ("a.py", "9"), ("stages", "7"))],
                "outs": [{"path": "b", "md5": "5"}],
            },
        }
    }  # fmt: skip
    found = read_lock(lock, {})
    assert found.inputs == {"in": "2"}
    assert found.code == {"a.py": "1 and 9", "stages/a": "6"}, "different states; a part in place of the whole"
    assert found.results == {"d/a": "3.dir", "b": "5"}
    assert found.commands == {"a": "python a.py", "b": "one; two"}
    assert found.params == {"a.x": 1}
    assert read_lock(lock, {"stages": {"b": {}}}).params == {}, "of a stage that is gone nothing counts"
    twin = {"stages": {"a@x": lock["stages"]["a"]}}
    assert read_lock(twin, {"stages": {"a": {"foreach": ["x"]}}}).params == {"a.x": 1}
    assert read_lock({}, {}).results == {}


def make(project: Path, said: dict[str, Any], tag: str) -> None:
    (project / "params.yaml").write_text(json.dumps({"make": said}))
    repro(project)
    commit(project, tag)
    shell(project, "git", "tag", tag)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with two runs, tagged `first` and `second`, and an experiment `tried` on the second."""
    project = make_project(tmp_path_factory.mktemp("history"))
    (project / ".gitignore").write_text(".dvc-site-cache/\n")
    for name, text in (("inputs/images.txt", "one"), ("stages/make.py", MAKE)):
        (project / name).parent.mkdir()
        (project / name).write_text(text)
    (project / "study" / MODES).parent.mkdir(parents=True)
    (project / "study" / MODES).write_text("another project's\n")
    stage = {
        "cmd": "python stages/make.py", "params": ["make"], "deps": ["stages", "inputs/images.txt"],
        "outs": [*OUTS, *({path: {"cache": False}} for path in KEPT)],
        "metrics": [{path: {"cache": False}} for path in METRICS],
    }  # fmt: skip
    (project / "dvc.yaml").write_text(json.dumps({"stages": {"make": stage}}))
    make(project, FIRST, "first")
    (project / "inputs/images.txt").write_text("two")
    (project / "stages/make.py").write_text(MAKE + "# changed\n")
    make(project, SECOND, "second")
    dvc = (sys.executable, "-m", "dvc")
    shell(project, *dvc, "exp", "run", "--quiet", "--name", "tried", "--set-param", "make.accuracy=0.99")
    shell(project, "git", "checkout", "--quiet", "--force", "second")
    shell(project, *dvc, "checkout", "--quiet")
    return project


@pytest.fixture
def run(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compare:
    """A copy of the history as the current folder, and the command run there."""
    shutil.copytree(history, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")

    def start(*arguments: str) -> str:
        code, output = call(compare, *arguments)
        assert code == 0, output
        return output

    return start


def sections(text: str) -> dict[str, str]:
    """Sections of the Markdown by title."""
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in text.split("\n## ")[1:]}


TOLD = {
    "In short": [
        "clean: 0 of 1 kinds of input are gone, 0 are new, 1 stays (B misreads 1 more often); misread in the worst",
        " kind 5.0 % [4.0, 6.0] of 500 -> 12 % [11, 13] of 500: beyond their intervals.",
    ],
    "Acceptance criteria": [
        "1 of 2 criteria have another verdict.",
        "| accuracy | pass | fail | >= 0.9 | >= 0.9 | 0.95 [0.94, 0.96], n=1,000 | 0.88 [0.87, 0.89], n=1,000 |",
    ],
    "Failure modes": [
        "clean: kinds of input: 1 in A, 1 in B.",
        "| fails: blur above 2 px | stays | 5.0 % [4.0, 6.0] of 500 | 12 % [11, 13] of 500 | more often | none seen |",
    ],
    "Metrics": [
        "2 of 5 metrics are equal. Of the 3 with a 95 % interval on both sides, 1 moved beyond",
        "and 1 within them (they overlap). 1 moved that state no interval.",
    ],
    "Paired comparison": [
        "Both rest on the same population (",
        "| curves: paired.b_minus_a.area | 0.1 [0.08, 0.12] | 500 | above 0 |",
    ],
    "Top 10 directions": [
        "| clean | entered | 77- | noise + | beyond 10 | 1 |",
        "| clean | entered | 10+ |  | beyond 10 | 10 |",
        "| clean | left | 0+ | thinner | 1 | beyond 10 |",
        "| clean | left | 9+ |  | 10 | beyond 10 |",
        "| clean | turned round | 1- |  | 2 | 2 |",
    ],
    "Inputs and results": ["Inputs from outside that changed: 1.", "| inputs/images.txt | f97c5d29 | b8a9f715 |"],
    "Params": ["| make.accuracy | 0.95 | 0.88 |"],
    "Code": ["Of 1 folders and modules that the results were made with, those that changed: 1.", "| stages |"],
    "Environment": ["Not compared, since only evidence bundles record it; no bundle: first, second."],
}


def test_everything_that_changed_between_two_commits_is_told(run: Compare) -> None:
    text = run("first", "second")
    assert text.startswith("# Comparison of A (first) with B (second)\n")
    found = sections(text)
    assert found.keys() == TOLD.keys()
    assert [line for title, lines in TOLD.items() for line in lines if line not in found[title]] == []
    beyond, unknown = found["Metrics"].split("Beyond their intervals:")[1].split("Without an interval:")
    assert "| train/clean: accuracy | 0.95 [0.94, 0.96] | 1,000 | 0.88 [0.87, 0.89] | 1,000 |" in beyond
    assert "| train/clean: loss | 0.05 |  | 0.12 |  |" in unknown
    assert found["Top 10 directions"].count("| clean |") == 5
    for title, none in (
        ("Metrics", "curves: clean.area |"),
        ("Top 10 directions", "generators differ"),
        ("Inputs and results", "data/population.zarr"),
        ("Code", "other versions"),
    ):
        assert none not in found[title]
    row = "| curves: clean.area | 0.9 [0.08, 0.12] | 500 | 0.91 [0.08, 0.12] | 500 |"
    assert row in sections(run("first", "second", "--all"))["Metrics"]


def test_a_run_against_itself_differs_in_nothing(run: Compare) -> None:
    text = run("second", "workspace")
    found = sections(text)
    for title, told in (
        ("Acceptance criteria", "0 of 2 criteria have another verdict."),
        ("Failure modes", "clean: the same kinds of input (1), with the same rates."),
        ("Metrics", "5 of 5 metrics are equal."),
        ("Top 10 directions", "clean: the same directions in the same order."),
        ("Inputs and results", "No input from outside changed, of 1"),
        ("Params", "No param changed"),
        ("Code", "No code that the results were made with changed, of 1 folders and modules"),
    ):
        assert told in found[title]
    assert text.count("\n| ") == 3, "the paired table alone"


def test_an_experiment_and_the_workspace_as_it_stands(run: Compare) -> None:
    found = sections(run("second", "tried"))
    assert "| accuracy | fail | pass |" in found["Acceptance criteria"]
    assert "| make.accuracy | 0.88 | 0.99 |" in found["Params"]
    params = json.loads(Path("params.yaml").read_text())
    params["make"]["accuracy"] = 0.5
    Path("params.yaml").write_text(json.dumps(params))
    Path("stages/newer.py").touch()
    found = sections(run("second"))
    assert "workspace: its results were made with other values of accuracy." not in found["Params"]
    assert "workspace: its results were made with other values of make.accuracy." in found["Params"]
    assert "workspace: its results were made with other versions of stages." in found["Code"]
    assert "5 of 5 metrics are equal." in found["Metrics"]


def bundle(folder: Path, **environment: Any) -> Path:
    """A bundle of the workspace, its results under a folder of the bundle's own choosing."""
    for path in (*METRICS, *KEPT, "dvc.lock", "params.yaml"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path)
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


def test_bundles_have_an_environment_and_may_keep_metrics_elsewhere(run: Compare, tmp_path: Path) -> None:
    packages = [{"name": "numpy", "version": "2.2"}, {"name": "torch", "version": "2.13"}]
    one = bundle(tmp_path / "one", python={"version": "3.11"}, packages=packages)
    newer = [{"name": "dvc", "version": "3"}, {"name": "torch", "version": "2.14"}, packages[0]]
    two = bundle(tmp_path / "two", python={"version": "3.11"}, packages=newer)
    (two / "metrics").mkdir()
    for path in METRICS:
        target = two / "metrics" / path.removeprefix("data/")
        target.parent.mkdir(parents=True)
        (two / path).rename(target)
    found = sections(run(str(one), str(two)))
    assert "Entries that changed: 2." in found["Environment"]
    assert "| packages.torch.version | 2.13 | 2.14 |" in found["Environment"]
    assert "| packages.dvc.version | none | 3 |" in found["Environment"]
    assert "5 of 5 metrics are equal." in found["Metrics"]
    assert "0 of 2 criteria have another verdict." in found["Acceptance criteria"]
    found = sections(run("first", str(one)))
    assert "| accuracy | pass | fail |" in found["Acceptance criteria"]
    assert "| clean | entered | 77- | noise + | beyond 10 | 1 |" in found["Top 10 directions"]
    assert "Not compared, since only evidence bundles record it; no bundle: first." in found["Environment"]


def test_the_page_is_whole_escapes_and_fits_a_desk_and_a_phone(run: Compare, tmp_path: Path, browser: Browser) -> None:
    """Each cell of the Markdown, none that is code, and no address; at both widths nothing is scrolled to sideways.

    On the phone each cell says which column it is of.
    """
    params = json.loads(Path("params.yaml").read_text())
    params["make"]["note"] = "<script>alert(1)</script> | x"
    Path("params.yaml").write_text(json.dumps(params))
    for suffix in ("html", "md"):
        assert run("first", "workspace", "--all", "--out", str(tmp_path / f"page.{suffix}")) == ""
    assert not list(tmp_path.glob(".*partial"))
    text = (tmp_path / "page.md").read_text()
    assert text == run("first", "workspace", "--all")
    assert "<script>alert(1)</script> \\| x" in text
    rows = [line[2:-2].replace("\\|", "&").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    told = [cell.strip().replace("&", "|") for row in rows if row[0] != "---" for cell in row]
    beyond = "cells => cells.filter(c => c.getBoundingClientRect().right > innerWidth + 0.5).map(c => c.innerText)"
    for width, is_phone in ((1280, False), (375, True)):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto((tmp_path / "page.html").as_uri())
        cells = page.locator("td, th").evaluate_all("cells => cells.map(c => c.textContent)")
        assert [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in cells] == told
        assert page.locator("script, [src], [href]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("td").evaluate_all(beyond) == []
        shown = page.locator("td:nth-child(2)").first.evaluate("c => getComputedStyle(c, '::before').content")
        assert shown == ('"A"' if is_phone else "none")
        page.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nowhere", "second"],
            r"nowhere: no such revision or folder \(.*\); allowed: a git revision, a DVC experiment",
        ),
        (["first", "inputs"], r"inputs: a folder without dvc\.lock, so no evidence bundle; allowed: "),
        (["first", "."], r"\.: a project, not a bundle; call this one 'workspace'"),
        (["first", "--out", "x.pdf"], r"--out: got 'x\.pdf'; allowed: a name that ends in \.md or \.html"),
        (["first", "--out", "no/x.md"], r"--out: got 'no/x\.md'; there is no folder no, make it first"),
    ],
)
def test_mistakes_name_what_was_given_and_what_is_allowed(run: Compare, arguments: list[str], message: str) -> None:
    with pytest.raises(FlowError, match=message):
        run(*arguments)
    assert not list(Path().glob("x.*"))


def test_a_project_without_a_commit_has_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    Path(".dvc").mkdir()
    with pytest.raises(FlowError, match=r"HEAD~1: no such revision or folder \(Empty git repo\); allowed: "):
        open_source("HEAD~1")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("dvc.lock", "a: [", r"workspace: dvc\.lock: not valid YAML \("),
        ("params.yaml", "- a\n", r"workspace: params\.yaml: holds list, needed: a mapping"),
        ("data/acceptance/gates.json", "{", r"workspace: data/acceptance/gates\.json: no JSON \("),
        ("data/name_directions/clean/leading.csv", "a,b\n1,2\n", r"leading\.csv: no ranking \('rank'\); make it again"),
        (MODES, "a,b\n1,2\n", r"modes\.csv: no modes \('rate'\); make it again"),
    ],
)
def test_damaged_files_are_named(run: Compare, path: str, text: str, message: str) -> None:
    Path(path).write_text(text)
    with pytest.raises(FlowError, match=message):
        run("first", "workspace")


def test_missing_results_are_told_and_no_reason_to_stop(run: Compare) -> None:
    for path in (*METRICS, *KEPT, "dvc.lock"):
        Path(path).unlink()
    found = sections(run("first", "workspace"))
    assert "workspace holds no verdicts" in found["Acceptance criteria"]
    assert "workspace holds no metrics." in found["Metrics"]
    assert "clean: ranked in A only." in found["Top 10 directions"]
    assert "clean: modes in A only." in found["Failure modes"]
    assert "Of no classifier both sides hold failure modes or a distance to failure." in found["In short"]
    assert "workspace holds no dvc.lock, or an empty one." in found["Inputs and results"]
    assert "At least one side records no population." in found["Paired comparison"]
