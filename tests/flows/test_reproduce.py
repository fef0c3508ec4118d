"""The flow on a toy project, with the real DVC and a real Prefect server."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import Project, open_project

pytestmark = pytest.mark.slow

Ask = Callable[[str, dict[str, Any]], Any]
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
        self.outcomes = {stage: entry["outcome"] for stage, entry in self.log.items()}


@pytest.fixture(scope="module")
def history(template: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The runs of one project: `prepare` feeds `train@clean` and `train@corrupted`, `report` needs both."""
    with open_project(template, tmp_path_factory.mktemp("history"), server) as project:

        def write(clean: str) -> None:
            project.write_stages(
                prepare={"cmd": "echo one > raw", "outs": ["raw"]},
                train={
                    "foreach": {"clean": clean, "corrupted": "cp raw corrupted"},
                    "do": {"cmd": "${item}", "deps": ["raw"], "outs": ["${key}"]},
                },
                report={
                    "cmd": f"cat clean corrupted > report; echo '{METRICS}' > m.json",
                    "deps": ["clean", "corrupted"],
                    "outs": ["report"],
                    "metrics": [{"m.json": {"cache": False}}],
                },
            )

        runs = {}
        write(FAILING)
        runs["failed"] = Run(project)
        runs["failed"].output += "" if not (project.path / "report").exists() else "report exists"
        write("cp raw clean")
        runs["mended"] = Run(project)
        runs["cached"] = Run(project)
        write("echo changed > clean")
        runs["changed"] = Run(project, "train@clean")
        write("cp raw clean")
        runs["restored"] = Run(project)
        runs["forced"] = Run(project, "--force", "train@clean")
        yield runs


def test_failure_stops_what_depends_on_it_and_nothing_else(history: dict[str, Run]) -> None:
    run = history["failed"]
    assert run.code == 1
    assert run.outcomes == {
        "prepare": "Done",
        "train@clean": "Failed",
        "train@corrupted": "Done",
        "report": "NotRun",
    }
    assert "report exists" not in run.output


def test_failure_is_told_in_the_last_line(history: dict[str, Run]) -> None:
    output = history["failed"].output
    assert output.splitlines()[-1] == "error: train@clean: train.lr: got -1; allowed: above 0"
    assert "report          | not run: needs train@clean, which failed" in output
    assert "train@clean     | working" in output


def test_terminal_shows_stages_and_no_machinery(history: dict[str, Run]) -> None:
    for run in history.values():
        for noise in ("Traceback", "git add", "Prefect", "Task run", "Flow run", "Error logging"):
            assert noise not in run.output
    assert "prepare         | running (" in history["failed"].output


def test_next_run_does_what_was_left(history: dict[str, Run]) -> None:
    run = history["mended"]
    assert run.code == 0, run.output
    assert run.outcomes == {
        "prepare": "Cached",
        "train@clean": "Done",
        "train@corrupted": "Cached",
        "report": "Done",
    }


def test_run_without_a_change_does_nothing(history: dict[str, Run]) -> None:
    run = history["cached"]
    assert (run.code, run.outcomes) == (0, dict.fromkeys(STAGES, "Cached"))


def test_target_brings_only_what_it_needs(history: dict[str, Run]) -> None:
    run = history["changed"]
    assert (run.code, run.outcomes) == (0, {"prepare": "Cached", "train@clean": "Done"})
    assert run.log["train@clean"]["reason"] == "changed command"


def test_what_was_run_before_is_restored(history: dict[str, Run]) -> None:
    run = history["restored"]
    assert (run.code, run.outcomes) == (0, dict.fromkeys(STAGES, "Cached") | {"train@clean": "Restored"})


def test_force_runs_what_is_fresh(history: dict[str, Run]) -> None:
    run = history["forced"]
    assert (run.code, run.outcomes) == (0, {"prepare": "Done", "train@clean": "Done"})
    assert run.log["prepare"]["reason"] == "forced"


def test_last_lines_count_the_stages(history: dict[str, Run]) -> None:
    assert "\n4 stages: 2 cached, 2 done; " in history["mended"].output
    assert "\n4 stages are up to date; nothing had changed\n" in history["cached"].output
    assert "\n4 stages: 2 done, 1 FAILED, 1 not run; " in history["failed"].output


def test_prefect_knows_each_outcome(history: dict[str, Run], ask: Ask) -> None:
    for run in history.values():
        tasks = ask("task_runs/filter", {"flow_runs": {"name": {"any_": [run.name]}}})
        assert {task["name"]: task["state_name"] for task in tasks} == run.outcomes
    tasks = ask("task_runs/filter", {"flow_runs": {"name": {"any_": [history["failed"].name]}}})
    states = {task["name"]: (task["state_type"], task["state"]["message"]) for task in tasks}
    assert states["train@clean"] == ("FAILED", "train.lr: got -1; allowed: above 0")
    assert states["report"] == ("FAILED", "not run: needs train@clean, which failed")
    assert states["train@corrupted"][0] == "COMPLETED"


def test_prefect_knows_the_edges(history: dict[str, Run], ask: Ask) -> None:
    tasks = ask("task_runs/filter", {"flow_runs": {"name": {"any_": [history["mended"].name]}}})
    names = {task["id"]: task["name"] for task in tasks}
    edges = {
        (names[source["id"]], task["name"]) for task in tasks for source in task["task_inputs"].get("wait_for", [])
    }
    assert edges == {
        ("prepare", "train@clean"),
        ("prepare", "train@corrupted"),
        ("train@clean", "report"),
        ("train@corrupted", "report"),
    }


def test_failed_flow_names_the_stage(history: dict[str, Run], ask: Ask) -> None:
    flow_run = ask("flow_runs/filter", {"flow_runs": {"name": {"any_": [history["failed"].name]}}})[0]
    assert flow_run["state_type"] == "FAILED"
    assert flow_run["state"]["message"] == "train@clean failed: train.lr: got -1; allowed: above 0"


def test_every_line_is_in_the_run_log(history: dict[str, Run], ask: Ask) -> None:
    flow_run = ask("flow_runs/filter", {"flow_runs": {"name": {"any_": [history["failed"].name]}}})[0]
    entries = ask("logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}})
    lines = {entry["message"] for entry in entries}
    assert {"working", "error: train.lr: got -1; allowed: above 0", "> cp raw corrupted"} <= lines


def test_tables_are_artifacts(history: dict[str, Run], ask: Ask) -> None:
    found = ask("artifacts/filter", {"flow_runs": {"name": {"any_": [history["mended"].name]}}})
    tables = {artifact["key"]: artifact["data"] for artifact in found}
    assert "| train@clean | done | " in tables["stages"]
    assert "| report | accuracy | 0.91 | 0.9 to 0.92 | 1,000 |" in tables["metrics"]


def test_params_are_checked_before_any_stage(served_project: Project) -> None:
    project = served_project
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    (project.path / "stages").mkdir()
    (project.path / "stages/__init__.py").touch()
    (project.path / "stages/__main__.py").write_text(
        "import sys\nsys.exit('error: params.yaml: walk.samples: got 0; allowed: 1 or more')"
    )
    code, output = project.run("reproduce")
    assert (code, output) == (1, "error: params.yaml: walk.samples: got 0; allowed: 1 or more\n")
    assert not (project.path / "dvc.lock").exists()


def test_the_study_is_a_project_of_its_own_run_by_the_same_flow(
    served_project: Project, template: Path, ask: Ask
) -> None:
    project = served_project
    project.write_stages(base={"cmd": "echo one > base", "outs": ["base"]})
    assert project.run("reproduce", "--study") == (
        1, "error: --study: study/ is no DVC project here; go to the root of failure-atlas and try again\n",
    )  # fmt: skip
    project.dvc("repro", "-q")
    shutil.copytree(template, project.path / "study")
    stages = {
        f"use_{name}": {
            "cmd": f"cat ../base > {name}; echo '{METRICS}' > {name}.json",
            "deps": ["../base"],
            "outs": [name],
            "metrics": [f"{name}.json"],
        }
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
        return {"cmd": f"touch {own}.here; {wait}; cp {other}.here {own}", "outs": [own]}

    served_project.write_stages(a=meet("a", "b"), b=meet("b", "a"))
    code, output = served_project.run("reproduce", "--max-workers", "2")
    assert code == 0, output
