"""The flow on a toy project, with the real DVC and a real Prefect server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Ask, Project, open_project, stage

pytestmark = pytest.mark.slow

METRICS = json.dumps({"accuracy": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 1000}})
FAILING = "echo working; echo 'error: train.lr: got -1; allowed: above 0' >&2; exit 1"
STAGES = ("prepare", "train@clean", "train@corrupted", "report")


class Run:
    """What one `failure-atlas reproduce` left behind."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.code, self.output = project.run("reproduce", *arguments)
        entries = project.log()
        self.name = entries[-1]["flow_run"]
        self.log = {entry["stage"]: entry for entry in entries if entry["flow_run"] == self.name}
        self.outcomes = {name: entry["outcome"] for name, entry in self.log.items()}


@pytest.fixture(scope="module")
def history(template: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The runs of one project: `prepare` feeds `train@clean` and `train@corrupted`, `report` needs both."""
    with open_project(template, tmp_path_factory.mktemp("history"), server) as project:

        def write(clean: str) -> None:
            project.write_stages(
                prepare=stage("echo one > raw", "raw"),
                train={
                    "foreach": {"clean": clean, "corrupted": "cp raw corrupted"},
                    "do": stage("${item}", "${key}", "raw"),
                },
                report=stage(
                    f"cat clean corrupted > report; echo '{METRICS}' > m.json",
                    "report",
                    "clean corrupted",
                    metrics=[{"m.json": {"cache": False}}],
                ),
            )

        runs = {}
        write(FAILING)
        runs["failed"] = Run(project)
        runs["failed"].output += "" if not (project.path / "report").exists() else "report exists"
        write("cp raw clean")
        runs["mended"] = Run(project)
        write("echo changed > clean")
        runs["changed"] = Run(project, "train@clean")
        write("cp raw clean")
        runs["restored"] = Run(project)
        runs["forced"] = Run(project, "--force", "train@clean")
        yield runs


CACHED = dict.fromkeys(STAGES, "Cached")
ENDED = {
    "failed": (1, {"prepare": "Done", "train@clean": "Failed", "train@corrupted": "Done", "report": "NotRun"}),
    "mended": (0, CACHED | {"train@clean": "Done", "report": "Done"}),
    "changed": (0, {"prepare": "Cached", "train@clean": "Done"}),  # a target and what it needs
    "restored": (0, CACHED | {"train@clean": "Restored"}),
    "forced": (0, {"prepare": "Done", "train@clean": "Done"}),
}


@pytest.mark.parametrize("name", ENDED)
def test_each_stage_ends_as_it_should_here_and_in_prefect(history: dict[str, Run], ask: Ask, name: str) -> None:
    run = history[name]
    assert (run.code, run.outcomes) == ENDED[name], run.output
    tasks = ask("task_runs/filter", {"flow_runs": {"name": {"any_": [run.name]}}})
    assert {task["name"]: task["state_name"] for task in tasks} == run.outcomes
    for noise in ("Traceback", "git add", "Prefect", "Task run", "Flow run", "Error logging"):
        assert noise not in run.output


def test_terminal_shows_stages_reasons_and_counts(history: dict[str, Run]) -> None:
    failed = history["failed"].output
    assert "report exists" not in failed
    assert "prepare         | running (" in failed
    assert "train@clean     | working" in failed
    assert "report          | not run: needs train@clean, which failed" in failed
    assert "\n4 stages: 2 done, 1 FAILED, 1 not run; " in failed
    assert failed.splitlines()[-1] == "error: train@clean: train.lr: got -1; allowed: above 0"
    assert "\n4 stages: 2 cached, 2 done; " in history["mended"].output
    assert history["changed"].log["train@clean"]["reason"] == "changed command"
    assert history["forced"].log["prepare"]["reason"] == "forced"


def test_prefect_knows_why_a_run_failed_and_every_line(history: dict[str, Run], ask: Ask) -> None:
    among = {"flow_runs": {"name": {"any_": [history["failed"].name]}}}
    states = {task["name"]: (task["state_type"], task["state"]["message"]) for task in ask("task_runs/filter", among)}
    assert states["train@clean"] == ("FAILED", "train.lr: got -1; allowed: above 0")
    assert states["report"] == ("FAILED", "not run: needs train@clean, which failed")
    assert states["train@corrupted"][0] == "COMPLETED"
    (flow_run,) = ask("flow_runs/filter", among)
    assert flow_run["state_type"] == "FAILED"
    assert flow_run["state"]["message"] == "train@clean failed: train.lr: got -1; allowed: above 0"
    lines = {each["message"] for each in ask("logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}})}
    assert {"working", "error: train.lr: got -1; allowed: above 0", "> cp raw corrupted"} <= lines


def test_prefect_knows_edges_and_tables(history: dict[str, Run], ask: Ask) -> None:
    among = {"flow_runs": {"name": {"any_": [history["mended"].name]}}}
    tasks = ask("task_runs/filter", among)
    names = {task["id"]: task["name"] for task in tasks}
    edges = {(names[one["id"]], task["name"]) for task in tasks for one in task["task_inputs"].get("wait_for", [])}
    trained = ("train@clean", "train@corrupted")
    assert edges == {*(("prepare", each) for each in trained), *((each, "report") for each in trained)}
    tables = {artifact["key"]: artifact["data"] for artifact in ask("artifacts/filter", among)}
    assert "| train@clean | done | " in tables["stages"]
    assert "| report | accuracy | 0.91 | 0.9 to 0.92 | 1,000 |" in tables["metrics"]


def test_the_study_is_a_project_of_its_own_run_by_the_same_flow(
    served_project: Project, template: Path, ask: Ask
) -> None:
    project = served_project
    project.write_stages(base=stage("echo one > base", "base"))
    assert project.run("reproduce", "--study") == (
        1, "error: --study: study/ is no DVC project here; go to the root of failure-atlas and try again\n",
    )  # fmt: skip
    project.dvc("repro", "-q")
    shutil.copytree(template, project.path / "study")
    stages = {
        f"use_{name}": stage(
            f"cat ../base > {name}; echo '{METRICS}' > {name}.json", name, "../base", metrics=[f"{name}.json"]
        )
        for name in ("b", "a")
    }
    (project.path / "study/dvc.yaml").write_text(json.dumps({"stages": stages}))
    code, output = project.run("reproduce", "--study")
    assert code == 0, output
    assert "2 stages: 2 done; " in output
    runs = ask("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
    assert runs[0]["parameters"]["study"]
    tasks = ask("task_runs/filter", {"flow_runs": {"name": {"any_": [runs[0]["name"]]}}})
    assert {task["name"]: task["state_name"] for task in tasks} == dict.fromkeys(stages, "Done")
    lock = (project.path / "study/dvc.lock").read_text()
    assert lock.index("use_b:") < lock.index("use_a:"), "in the order of dvc.yaml, whichever ended first"
    assert "use_a" not in (project.path / "dvc.lock").read_text()
    code, output = project.run("metrics", "--study")
    assert (code, output.count("0.9 to 0.92")) == (0, 2)
    code, output = project.run("reproduce", "--study", "use_a", PREFECT_API_URL="")
    assert (code, output.splitlines()) == (
        0, ["1 stages are up to date; nothing had changed", "all metrics: failure-atlas metrics --study"],
    )  # fmt: skip


def test_workers_run_side_by_side(served_project: Project) -> None:
    """Each of two stages waits until the other has started, which only ends if both run at once."""

    def meet(own: str, other: str) -> dict[str, Any]:
        wait = f"for n in $(seq 600); do test -e {other}.here && break; sleep .1; done"
        return stage(f"touch {own}.here; {wait}; cp {other}.here {own}", own)

    served_project.write_stages(a=meet("a", "b"), b=meet("b", "a"))
    code, output = served_project.run("reproduce", "--max-workers", "2")
    assert code == 0, output
