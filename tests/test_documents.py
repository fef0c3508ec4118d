"""README and docs against the project: links lead somewhere, tables name what is there and hold its numbers."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from failure_atlas.core.errors import StageError
from stages.__main__ import check_params
from stages.report import documents
from tests import yaml12 as yaml
from tests.house import ROOT, read_dag, read_study, read_unused
from tests.notebook import IN_DOCS, PICTURE, read_examples, run_example

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]

CLASSIFIERS = ROOT / "docs/classifiers.md"
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_in_git(document: str) -> None:
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    for target in LINK.findall((ROOT / document).read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            place = os.path.normpath(Path(document).parent / target)
            assert any(name == place or name.startswith(f"{place}/") for name in listed), f"{document}: {target}"


def test_the_notebook_example_runs_anywhere_and_gives_what_the_readme_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown, _ = read_examples()
    assert re.findall("from failure_atlas(\\S*) import", code) == [""]
    assert len([line for line in code.splitlines() if line.strip()]) < 20
    names = run_example(code, tmp_path)
    assert capsys.readouterr().out == shown
    softmax = names["softmax"]
    assert len(softmax) == 81
    assert softmax[0] > 0.9  # the mean nine is seen as one
    assert softmax[-1] < 0.5
    drawn, kept = (np.asarray(Image.open(path).convert("L"), float) for path in (tmp_path / PICTURE, IN_DOCS))
    assert drawn.shape == kept.shape
    # Letters may be drawn otherwise elsewhere; another curve or other images are farther off.
    assert np.abs(drawn - kept).mean() < 1, "draw docs/notebook.png anew: python -m tests.notebook"


def test_two_networks_of_ones_own_take_fifteen_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = read_examples()[2]
    assert re.findall("from failure_atlas(\\S*) import", code) == [""]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    softmax = run_example(code, tmp_path)["softmax"]
    assert abs(softmax[0] - softmax[-1]) > 0.05
    assert capsys.readouterr().out.startswith("dimension ")


def test_readme_names_every_stage_in_the_order_of_the_dag() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    study = [room for room in read_study() if room not in read_dag()]
    assert re.findall(r"\| \[`(\w+)`\]\(stages/\1\)", text) == [*read_dag(), *study]


def test_every_param_has_a_comment_with_its_range() -> None:
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    commented: set[tuple[str, str]] = set()
    keys: list[tuple[str, str]] = []
    section = ""
    for line in lines:
        if match := re.match(r"(\w+):", line):
            section = match[1]
        elif match := re.match(r"\s+(\w+):(.*)", line):
            keys.append((section, match[1]))
            if "#" in match[2]:
                commented.add(keys[-1])
    entries = set(yaml.safe_load("\n".join(lines))["classifiers"])
    own = {
        "bring_classifiers",
        "bring_generator",
    }  # what a user brings; their keys are explained in the comments below it
    bare = {key for key in keys if key[1] not in entries and key[0] not in own} - commented
    assert not bare, f"params without a comment: {sorted(bare)}"


def read_block(words: str) -> str:
    """The one indented block of docs/classifiers.md with a line that begins so."""
    blocks = re.findall(r"(?:^    .*\n)+", CLASSIFIERS.read_text(encoding="utf-8"), re.MULTILINE)
    (block,) = [textwrap.dedent(block) for block in blocks if f"    {words}" in block]
    return block


def test_the_lines_that_bring_and_judge_a_classifier_are_good_params(tmp_path: Path) -> None:
    path, block = tmp_path / "params.yaml", read_block("bring_classifiers:")
    path.write_text(block, encoding="utf-8")
    check_params(path, partial=True)
    added = [line for line in block.splitlines() if line not in ("classifiers:", "bring_classifiers:")]
    assert len(added) <= 5, "a classifier is brought with at most five lines"
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["acceptance"]["criteria"] += yaml.safe_load(read_block("- id: mine"))
    params["classifiers"]["mine"] = "bring_classifiers"
    params["bring_classifiers"] = {"mine": {"load": "my_model:Net"}}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    check_params(path)


def test_the_default_run_is_in_git() -> None:
    for name, stage in read_dag().items():
        assert "desc" in stage
        if name not in ("report", *read_unused()):  # one page, in the cache; or nobody brought one
            assert list((ROOT / "data" / name).rglob("metrics.json")), f"no metrics of {name}"


def test_the_pictures_are_few_shown_and_those_of_the_run() -> None:
    pictures = {path.name: path for path in (ROOT / documents.FIGURES).iterdir()}
    assert sorted(pictures) == sorted(Path(shown).name for shown in documents.SHOWN)
    assert len(pictures) <= 10
    linked = {Path(target).name for page in DOCUMENTS for target in LINK.findall((ROOT / page).read_text("utf-8"))}
    assert pictures.keys() <= linked
    unchanged = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "dvc.lock"], cwd=ROOT, check=False)
    for shown in documents.SHOWN:
        made = ROOT / "data" / shown
        if unchanged.returncode == 0 and made.is_file():  # else there is no run, or another one
            assert made.read_bytes() == pictures[made.name].read_bytes(), "run: python -m stages.report.documents"


def test_pictures_are_copied_where_the_run_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, kept = tmp_path / "data" / documents.SHOWN[0], tmp_path / documents.FIGURES / Path(documents.SHOWN[1]).name
    for path in (made, kept):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"picture")
    documents.copy_pictures(tmp_path)
    assert capsys.readouterr().out == f"{documents.FIGURES / made.name}\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / documents.FIGURES).iterdir()} == dict.fromkeys(
        (made.name, kept.name), b"picture"
    )
    documents.copy_pictures(tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("page", documents.PAGES)
def test_tables_hold_the_numbers_of_the_metrics_in_git(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    names = re.findall(r"<!-- table: (.*) -->", text)
    assert names
    others = (documents.CLAIMS, documents.MODES, documents.SIGNS_MODES, documents.VOCABULARY, documents.CLAUSES)
    assert set(names) <= {*documents.TABLES, *others}
    assert documents.render_page(text, ROOT, page) == text, "write the tables anew: python -m stages.report.documents"


def test_a_table_that_nobody_makes_and_a_metric_that_nobody_measures_are_told(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"page\.md: table 'speed': allowed: accuracy, "):
        documents.render_page("<!-- table: speed -->\n<!-- end -->", ROOT, "page.md")
    path = tmp_path / "train_classifiers/clean/metrics.json"
    with pytest.raises(StageError, match="missing; make it with: dvc repro train_classifiers"):
        documents.render_cell(tmp_path, "train_classifiers/clean: accuracy")
    path.parent.mkdir(parents=True)
    path.write_text('{"accuracy": {"value": 0.5, "low": null, "high": 0.75, "n": 1200}}', encoding="utf-8")
    cell = documents.render_cell(tmp_path, "train_classifiers/clean: accuracy", 2)
    assert cell == "0.50 [\u2013, 0.75] of 1,200"
    with pytest.raises(StageError, match="holds no number loss"):
        documents.render_cell(tmp_path, "train_classifiers/clean: loss")


@pytest.mark.parametrize("classifier", ["clean", "corrupted"])
def test_the_default_run_walked_from_every_class(classifier: str) -> None:
    folder = ROOT / "data" / "walk_corner_cases" / classifier
    if not (folder / "corner_cases.csv").is_file():
        pytest.skip("git holds no tables of a run: make repro, or dvc pull")
    walks = pd.read_csv(folder / "corner_cases.csv")
    assert walks["class"].nunique() == 10
    reached = walks[walks["reached"]]
    assert len(reached) > 0
    assert reached["end_probability"].between(0.499, 0.5).all()
    assert len(pd.read_csv(folder / "figures" / "fig7_corner_cases.csv")) > 0
