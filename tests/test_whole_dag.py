"""The whole DAG on real images, once, through the flow; then DVC alone finds nothing to do, or makes the same again."""

import json
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests import yaml12 as yaml
from tests.flows.conftest import wait_until
from tests.house import read_dag, read_unused
from tests.project import commit, copy_project, git, run

pytestmark = pytest.mark.slow

TOLD = ("on what", "how far", "what proves it")
AGAIN = (
    "prepare_images", "train_classifiers@clean", "train_stylegan2", "sample_populations", "rank_dimensions@clean",
    "compute_curves", "report",
)  # fmt: skip
LOOK_AT_ALL = (  # themselves, or a stage whose results they read
    "invert_images", "walk_corner_cases", "find_failures", "judge_failures", "compute_curves", "corroborate",
    "find_modes", "check_claims", "acceptance", "report",
)  # fmt: skip


def must(project: Path, *command: str) -> str:
    """Run a command that has to succeed; what it printed."""
    done = run(project, *command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A copy of the project after `failure-atlas reproduce`, committed, and what that printed."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    done = run(folder, "failure-atlas", "reproduce")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    commit(folder, "run")
    return folder, done


@pytest.fixture(scope="module")
def project(reproduced: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return reproduced[0]


def test_the_figures_that_claims_name_are_there_and_those_of_the_paper_with_their_numbers(project: Path) -> None:
    claims = json.loads((project / "data/check_claims/claims.json").read_text(encoding="utf-8"))["claims"]
    figures = {project / "data" / figure for each in claims for figure in each["figure"]}
    assert [figure for figure in figures if not figure.read_bytes().startswith(b"\x89PNG")] == []
    numbered = {figure for figure in figures if figure.name.startswith("fig")}
    assert {figure.name[:4] for figure in numbered} == {"fig3", "fig4", "fig6", "fig7"}
    for figure in {*numbered, project / "data/qualify_generator/figures/fig2_real_above_generated.png"}:
        table = pd.read_csv(figure.with_suffix(".csv"))
        assert len(table.columns) > 1, figure
        # Figure 7 starts from class means, which this generator has not learnt; test_documents.py reads the real one.
        assert len(table) > 0 or "fig7" in figure.name, figure


def test_tables_hold_the_promised_columns(project: Path) -> None:
    ranking = pd.read_csv(project / "data/rank_dimensions/clean/ranking.csv", dtype={"scope": str})
    promised = ["scope", "rank", "dimension", "layer", "kind", "score", "standard_error", "std", "direction"]
    assert list(ranking.columns) == promised
    assert set(ranking["scope"]) == {"global", *map(str, range(10))}
    assert (ranking["direction"].abs() <= 1).all()
    # Nothing is recognised by these classifiers, so no walk starts; the real run's walks: tests/test_documents.py.
    walks = pd.read_csv(project / "data/walk_corner_cases/clean/corner_cases.csv")
    promised = {"class", "dimension", "direction", "shift", "shift_std", "start_probability", "end_probability"}
    assert promised | {"predicted_class", "reached"} <= set(walks.columns)
    starts = pd.read_csv(project / "data/walk_corner_cases/clean/starts.csv")
    assert len(starts) == 120  # ten class means under two noises each, and a hundred samples, walked or not
    assert len(pd.read_csv(project / "data/compute_curves/curves.csv")) > 0


def test_a_second_repro_does_nothing(project: Path) -> None:
    started = time.monotonic()
    assert "Running stage" not in must(project, "dvc", "repro")
    assert git(project, "status", "--porcelain") == ""
    assert time.monotonic() - started < 30  # about one second on an idle machine


def test_a_clone_is_current_pulls_runs_on_and_is_compared(project: Path, tmp_path: Path) -> None:
    """Three machines that share a folder as remote: the first has run, the second goes on, the third compares."""
    second, third = tmp_path / "second", tmp_path / "third"
    store = ("remote", "add", "--default", "--local", "store", str(tmp_path / "remote"))
    must(project, "dvc", *store)
    must(project, "dvc", "push", "--quiet")
    git(project, "clone", "--quiet", str(project), str(second))
    # Stages that look at all classifiers depend on whole folders, which DVC cannot tell before their files are there.
    known = [name for name in read_dag() if name not in {*LOOK_AT_ALL, *read_unused()}]
    told = must(second, "dvc", "repro", "--dry", "--allow-missing", *known)
    assert "Running stage" not in told
    assert told.count("didn't change, skipping") >= len(known)
    must(second, "dvc", *store)
    must(second, "dvc", "pull", "--quiet")
    assert "up to date" in must(second, "dvc", "status")

    params = yaml.safe_load((second / "params.yaml").read_text(encoding="utf-8"))
    criterion = params["acceptance"]["criteria"][0]
    criterion["bar"] = 0.123
    (second / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    told = must(second, "dvc", "repro")
    assert [name for name in read_dag() if f"Running stage '{name}" in told] == ["acceptance", "report"]
    commit(second, "another bar")
    must(second, "dvc", "push", "--quiet")
    git(second, "clone", "--quiet", str(second), str(third))
    told = must(third, "failure-atlas", "compare", "HEAD~1", "HEAD")  # git holds all that it reads
    (row,) = [line for line in told.splitlines() if line.startswith(f"| {criterion['id']} |")]
    assert f"| {criterion['comparison']} 0.123 |" in row
    for name in params["classifiers"]:
        assert f"{name}: the same directions in the same order." in told
    must(third, "dvc", *store)
    must(third, "dvc", "pull", "--quiet")
    assert (third / "data/report/report.html").is_file()
    assert git(third, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "command", [["metrics", "show"], ["plots", "show", "--out", "plots_html"], ["params", "diff"], ["metrics", "diff"]]
)
def test_dvcs_own_views_work(project: Path, command: list[str]) -> None:
    done = run(project, "dvc", *command)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert "WARNING" not in done.stderr


def test_a_run_ends_on_what_was_found(reproduced: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    project, done = reproduced
    assert "Error" not in done.stdout + done.stderr
    assert (project / ".prefect/prefect.db").exists(), "the state of the temporary server stays in the project"
    alive = ["grep", "-las", f"PREFECT_HOME={project}/", *Path("/proc").glob("[0-9]*/environ")]
    wait_until(lambda: subprocess.run(alive, capture_output=True, check=False).stdout == b"", 20, "its end")
    for stage in read_dag().keys() - read_unused():
        assert stage in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 30
    for words in ("acceptance criteria: ", *(f"{name}: {told}: " for name in ("clean", "corrupted") for told in TOLD)):
        assert any(line.startswith(words) for line in lines), words
    assert "report: data/report/report.html" in lines
    assert "frechet_ratio" in run(project, "failure-atlas", "metrics").stdout
    again = run(project, "failure-atlas", "reproduce")
    assert (again.returncode, again.stderr) == (0, "")
    told = again.stdout.splitlines()
    assert told[0].endswith(" stages are up to date; nothing had changed")
    assert told[1:] == lines[2:], "and what was found"


def test_dvc_alone_makes_the_same_again(project: Path) -> None:
    """Without what the flow sets for stages that run side by side: those that train, sample, rank and draw.

    That each stage makes the same bytes twice is tested with it.
    """
    told = must(project, "dvc", "repro", "--force", "--single-item", *AGAIN)
    assert [line for line in told.splitlines() if line.startswith("Running stage")] == [
        f"Running stage '{stage}':" for stage in AGAIN
    ]
    assert git(project, "status", "--porcelain") == ""


def test_nothing_that_is_kept_names_this_machine_or_a_time(project: Path) -> None:
    words = [str(project).encode(), b"/tmp/", b"2026-", b"localhost"]
    for path in sorted((project / "data").rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found = [word for word in words if word in content]
            assert not found, f"{path.relative_to(project)} holds {found}"


def test_a_mistake_in_params_stops_the_flow_before_any_work(project: Path) -> None:
    path, lock = project / "params.yaml", (project / "dvc.lock").read_bytes()
    text = path.read_text(encoding="utf-8")
    params = yaml.safe_load(text)
    params["sample_populations"]["samples"] = 0
    try:
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        done = run(project, "failure-atlas", "reproduce")
    finally:
        path.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert (
        (done.stdout + done.stderr).splitlines()[-1].startswith("error: params.yaml: sample_populations.samples: got 0")
    )
    assert (project / "dvc.lock").read_bytes() == lock
