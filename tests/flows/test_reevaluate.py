"""Re-evaluation: what is accepted, what is refused, who is told."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.dag import read_dag
from flows.errors import FlowError
from flows.notify import WEBHOOK
from flows.project import append_line
from flows.reevaluate_population import require_frozen
from flows.reevaluate_steps import find_covering, read_accepted, write_accepted
from tests.flows.conftest import Mailbox, Project, open_project, stage
from tests.flows.evidence.conftest import ACCEPT, REPORT, criterion, judged

METRICS = "data/measure/metrics.json"

ENTRY: dict[str, Any] = {"flow_run": "calm-fox", "began": "2026-01-02T03:00:00+00:00", "parameters": {"pull": True}}


LOOK = ("reevaluate", "--no-evidence")
FROZEN = (*LOOK, "--frozen-population")


def write_verdicts(project: Project, **verdicts: str) -> None:
    criteria = [{"id": name, "verdict": verdict} for name, verdict in verdicts.items()]
    (project.path / "verdicts").write_text(json.dumps({"criteria": criteria}))


def test_accepted_bundle_is_remembered(tmp_path: Path) -> None:
    accepted = tmp_path / "evidence/accepted"
    assert read_accepted(accepted) is None
    for name in ("1111-aaaa", "2222-bbbb"):
        (tmp_path / "evidence" / name).mkdir(parents=True)
        write_accepted(tmp_path / "evidence" / name, accepted)
        assert read_accepted(accepted) == tmp_path / "evidence" / name
    assert {entry.name for entry in accepted.parent.iterdir()} == {"accepted", "1111-aaaa", "2222-bbbb"}
    for cut in ("", "2222-b", "../evidence", "."):
        accepted.write_text(cut)
        with pytest.raises(FlowError, match="which is no bundle here; allowed: 1111-aaaa, 2222-bbbb; write the last"):
            read_accepted(accepted)


def test_run_is_covered_by_one_that_began_after_it_was_due(tmp_path: Path) -> None:
    path = tmp_path / "reevaluate.jsonl"
    append_line(path, ENTRY)
    began = datetime.fromisoformat(ENTRY["began"])
    for due, pull, file, found in (
        (began - timedelta(days=1), True, path, ENTRY),
        (began, True, path, ENTRY),
        (began + timedelta(seconds=1), True, path, None),
        (began, False, path, None),
        (began, True, tmp_path / "none", None),
    ):
        assert find_covering(due, {"pull": pull}, file) == found


def write_world(project: Project, classifier: str = "one", seed: str = "7", population: str = "cat gan") -> None:
    """A toy of this project's DAG: the population's stage also reads the classifier, but its samples need not."""
    project.write_stages(
        train_stylegan2=stage(f"echo {seed} > gan", "gan"),
        train_classifiers=stage(f"echo {classifier} > net", "net"),
        sample_populations=stage(f"{population} > samples; cat net > figure", "samples", "gan net", plots=["figure"]),
        curves=stage("cat samples net > curves", "curves", "samples net"),
        acceptance={
            "cmd": "mkdir -p data/acceptance; cp verdicts data/acceptance/gates.json",
            "deps": ["curves", "verdicts"],
            "outs": [{"data/acceptance/gates.json": {"cache": False}}],
        },
    )


@pytest.fixture(scope="module")
def made(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy after a run, made once."""
    with open_project(template, tmp_path_factory.mktemp("made"), None) as project:
        write_world(project)
        write_verdicts(project, accuracy="pass", gap="pass")
        project.dvc("repro", "-q")
        return project.path


@pytest.fixture
def world(made: Path, tmp_path: Path, server: str) -> Iterator[Project]:
    with open_project(made, tmp_path, server) as project:
        yield project


def test_new_population_is_refused_before_anything_runs(world: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = (world.path / "dvc.lock").read_bytes()
    monkeypatch.chdir(world.path)
    write_world(world, classifier="two", population="wc -c gan")
    with pytest.raises(FlowError, match=r"sample_populations has to run again \(changed command\)"):
        require_frozen(read_dag())
    write_world(world, classifier="two", seed="8")
    code, output = world.run(*FROZEN)
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith(
        "error: --frozen-population: train_stylegan2 has to run again (changed command), and would "
    )
    assert output.endswith("put that back, or run without --frozen-population\n")
    assert (world.path / "dvc.lock").read_bytes() == lock
    assert (world.path / "net").read_text() == "one\n"


def test_population_that_reads_the_folder_of_all_classifiers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole folder as a dependency: a new classifier in it is no new population, a new generator in it is."""

    def write(classifier: str, seed: str, folder: str) -> None:
        project.write_stages(
            train_stylegan2=stage(f"mkdir -p {folder}; echo {seed} > {folder}/gan", f"{folder}/gan"),
            train_classifiers=stage(f"mkdir -p nets/a; echo {classifier} > nets/a/net", "nets/a/net"),
            sample_populations=stage(f"cat {folder}/gan > samples", "samples", f"nets {folder}"),
        )

    monkeypatch.chdir(project.path)
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    with pytest.raises(FlowError, match=r"^--frozen-population: dvc\.yaml has no stage train_stylegan2; stages: a$"):
        require_frozen(read_dag())
    write("one", "7", "world")
    with pytest.raises(FlowError, match="train_stylegan2 has to run again"):
        require_frozen(read_dag())
    project.dvc("repro", "-q")
    write("two", "7", "world")
    project.dvc("repro", "-q", "train_classifiers")
    assert set(require_frozen(read_dag())) == {"world/gan", "samples"}
    write("two", "8", "world")
    project.dvc("repro", "-q", "train_stylegan2")
    with pytest.raises(FlowError, match=r"sample_populations has to run again \(changed deps: world \(modified\)\)"):
        require_frozen(read_dag())


@pytest.mark.slow
def test_new_classifier_on_the_same_population(world: Project, mailbox: Mailbox) -> None:
    """A classifier changes, its criterion fails; then it changes so that the samples change with it."""
    project = world
    write_world(project, classifier="two")
    write_verdicts(project, accuracy="fail", gap="not assessable")
    code, output = project.run(*FROZEN, FAILURE_ATLAS_WEBHOOK=mailbox.url)
    assert code == 1, output
    assert output.splitlines()[-1] == "error: 0 of 2 criteria pass; fail: accuracy; not assessable: gap"
    assert "reproduce: done: 5 stages are up to date; 4 of them had changed; generator and population are the" in output
    assert (project.path / "curves").read_text() == "7\ntwo\n"
    assert (project.path / "figure").read_text() == "two\n", "nothing is left out of date"
    assert [notice["state"] for notice in mailbox.received] == ["NotAccepted"]
    assert "gates: done: 0 of 2 criteria pass; fail: accuracy; not assessable: gap" in mailbox.received[0]["text"]
    assert not (project.path / "evidence/accepted").exists()

    write_world(project, classifier="two", population="cat gan net")
    project.dvc("repro", "-q")  # samples that depend on the classifier
    write_world(project, classifier="three", population="cat gan net")
    mailbox.code = 503
    code, output = project.run(*FROZEN, FAILURE_ATLAS_WEBHOOK=mailbox.url)
    assert code == 1, output
    assert re.search(r"error: reproduce: --frozen-population: the population did not stay: samples \(was ", output)
    assert (project.path / "curves").read_text() == "7\ntwo\ntwo\n", "nothing was measured on another population"
    assert f"notify: FAILED: {WEBHOOK}: webhook at 127.0.0.1 was not told (" in output
    assert [entry["state"] for entry in project.history()] == ["NotAccepted", "Failed"]


def write_judged_world(project: Project, accuracy: float) -> None:
    """A toy whose verdict follows from its metrics, as evidence asks for."""
    measured = '{"mean": {"value": %s, "low": %s, "high": %s, "n": 30}}'
    project.write_stages(
        train_stylegan2=stage("echo 7 > gan", "gan"),
        train_classifiers=stage(f"echo {accuracy} > net", "net"),
        sample_populations=stage("cat gan > samples", "samples", "gan"),
        measure=stage(
            f"mkdir -p data/measure; V=$(cat net); printf '{measured}' $V $V $V > {METRICS}",
            "",
            "samples net",
            metrics=[{METRICS: {"cache": False}}],
        ),
        **judged(METRICS),
    )
    (project.path / "work").mkdir(exist_ok=True)
    for name, text in (("accept", ACCEPT), ("report", REPORT)):
        (project.path / f"work/{name}.py").write_text(text)
    criteria = criterion("measure: mean")["criteria"][:1]
    (project.path / "params.yaml").write_text(json.dumps({"acceptance": {"criteria": criteria}}))


@pytest.mark.slow
def test_bundle_whose_criteria_all_pass_is_accepted(served_project: Project) -> None:
    """Pass, nothing new, fail: the accepted bundle is the first, and the last is compared with it."""
    project = served_project
    project.environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    write_judged_world(project, 0.5)
    code, output = project.run("reevaluate")
    assert (code, len(output.splitlines())) == (1, 1)
    assert "make one with `failure-atlas key`" in output
    assert output.endswith("; or evaluate without a bundle: --no-evidence\n")
    assert not (project.path / "dvc.lock").exists(), "told before any work"
    assert project.run("key")[0] == 0
    for line in ("init -q", "add dvc.yaml", "-c user.name=a -c user.email=a@example.org commit -qm first"):
        subprocess.run(["git", *line.split()], cwd=project.path, env=project.environment, check=True)

    code, output = project.run("reevaluate")
    assert code == 0, output
    accepted = (project.path / "evidence/accepted").read_text().strip()
    assert f"accept: done: {accepted} is the accepted one now (evidence/accepted)" in output
    assert "compare: skipped: no bundle was accepted before" in output
    assert (project.path / "evidence" / accepted / "data/acceptance/gates.json").is_file()

    code, output = project.run("reevaluate")
    assert code == 0, output
    assert f"compare: skipped: nothing has changed since {accepted} was accepted" in output

    write_judged_world(project, 0.05)
    code, output = project.run("reevaluate", "--frozen-population")
    assert code == 1, output
    assert f"compare: done: with {accepted}, the last accepted one" in output
    assert "accept: skipped: not all criteria pass" in output
    assert (project.path / "evidence/accepted").read_text().strip() == accepted
    assert len([entry for entry in (project.path / "evidence").iterdir() if entry.is_dir()]) == 2


@pytest.mark.slow
def test_outputs_are_pulled_and_no_verdict_is_three(served_project: Project) -> None:
    """Outputs come back from the remote instead of being made; what a remote lacks, or if it is gone, is made here."""
    project = served_project
    remote = project.path.parent / "remote"
    project.write_stages(a={"cmd": "date +%N > out; echo ran >> ../runs", "outs": ["out"]})
    project.dvc("remote", "add", "--default", "store", str(remote))
    project.dvc("repro", "-q")
    project.dvc("push", "-q")
    made = (project.path / "out").read_text()
    (project.path / "out").unlink()
    shutil.rmtree(project.path / ".dvc/cache")
    code, output = project.run(*LOOK, "--pull")
    assert code == 3, output
    assert "gates: skipped: no data/acceptance/gates.json: nothing says what is good enough" in output
    assert "Traceback" not in output
    assert "pull: done: from remote 'store'" in output
    assert (project.path / "out").read_text() == made
    assert (project.path.parent / "runs").read_text() == "ran\n"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        project.dvc("remote", "add", "--force", "--default", "store", address)
        (project.path / "out").unlink()
        shutil.rmtree(project.path / ".dvc/cache")
        code, output = project.run(*LOOK, "--pull")
    assert code == 3, output
    assert "pull: done: remote 'store' lacks 1 objects, or is not reached; they are made here" in output
    assert (project.path.parent / "runs").read_text() == "ran\nran\n"
