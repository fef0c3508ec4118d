"""Scheduled runs, with a real server, a real worker and the schedule that `failure-atlas serve` makes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.lock import hold_lock
from tests.flows.conftest import ROOT, Project, wait_until

SLOW = "echo begun > begun; test -e fast || sleep 300; echo result > out"
Ask = Callable[[str, dict[str, Any]], Any]
LATE = ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z", "2026-01-03T03:00:00Z"]


@pytest.fixture
def scheduled(served_project: Project, ask: Ask) -> Iterator[Project]:
    """A project with this project's own prefect.yaml; its deployment is taken off the server at the end."""
    write_deployment(served_project)
    served_project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    yield served_project
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deployment", "delete", "reevaluate/scheduled"],
        env=served_project.environment,
        check=True,
        capture_output=True,
    )


def write_deployment(project: Project) -> None:
    """This project's own prefect.yaml, without bundles: the toy is no git repository."""
    text = (ROOT / "prefect.yaml").read_text()
    assert "evidence: true" in text
    (project.path / "prefect.yaml").write_text(text.replace("evidence: true", "evidence: false"))


@contextmanager
def serving(project: Project, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The service, killed if the test fails, so that nobody waits for it."""
    service = project.start("serve", *arguments, PREFECT_WORKER_QUERY_SECONDS="1")
    try:
        yield service
    finally:
        service.kill()
        service.communicate()


def find_runs(ask: Ask) -> list[dict[str, Any]]:
    body = {"deployments": {"name": {"any_": ["scheduled"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return list(ask("flow_runs/filter", body))


def end(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143, output
    return output


def read_history(project: Project) -> list[dict[str, Any]]:
    file = project.path / "logs/reevaluate.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _appeared_by_itself(run: dict[str, Any]) -> bool:
    return run["state_name"] == "NotAssessable" and "auto-scheduled" in run["tags"]


@pytest.mark.slow
def test_scheduled_runs_appear_collapse_skip_and_can_be_cancelled(scheduled: Project, ask: Ask) -> None:
    """One service through its day: three runs that were missed, one beside a manual run, one cancelled."""
    project = scheduled
    (project.path / "fast").touch()
    deploy = "from flows.environment import prepare_environment; prepare_environment(); import flows.serve as s"
    subprocess.run(
        [sys.executable, "-c", f"{deploy}; s.deploy('0 3 1 1 *', None)"],
        cwd=project.path,
        env=project.environment,
        check=True,
    )
    found = ask("deployments/filter", {"deployments": {"name": {"any_": ["scheduled"]}}})[0]
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    for due in LATE:
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        ask(f"deployments/{found['id']}/create_flow_run", {"state": state})

    with serving(project, "--every", "3") as service:
        # Of those that were missed, at most one runs; a scheduled one appears after it by itself.
        wait_until(lambda: len(read_history(project)) >= 2, 90, lambda: find_runs(ask))
        runs = find_runs(ask)
        late = [run for run in runs if run["expected_start_time"][:10] in {due[:10] for due in LATE}]
        assert len(late) == len(LATE)
        assert {run["state_type"] for run in late} <= {"COMPLETED", "CANCELLED"}
        assert sum(run["state_type"] == "COMPLETED" for run in late) <= 1
        assert read_history(project)[1]["message"] == "no data/acceptance/gates.json"
        # Made by the server's scheduler and not by hand, and finished.
        wait_until(lambda: any(_appeared_by_itself(run) for run in find_runs(ask)), 60, lambda: find_runs(ask))

        # While another process holds the lock, what falls due is skipped, and says why.
        with hold_lock(project.path / "logs/flow.lock"):
            wait_until(lambda: any(run["state_name"] == "Skipped" for run in find_runs(ask)), 60, "a skipped run")
            (project.path / "fast").unlink()
            (project.path / "begun").unlink()
            (project.path / "out").unlink()
            project.write_stages(a={"cmd": f"true; {SLOW}", "outs": ["out"]})
        skipped = next(run for run in find_runs(ask) if run["state_name"] == "Skipped")
        assert f"another run is at work in this project (pid {os.getpid()}, since " in skipped["state"]["message"]
        assert skipped["state_type"] == "CANCELLED"

        # Cancelled as the button of Prefect's page does it: nothing of the stage is left, and the service goes on.
        project.wait_for_file("begun", 60)
        running = next(run for run in find_runs(ask) if run["state_type"] == "RUNNING")
        ask(f"flow_runs/{running['id']}/set_state", {"state": {"type": "CANCELLING"}})
        wait_until(lambda: "sleep 300" not in project.processes().values(), 20, lambda: project.processes())

        def state_of_cancelled() -> str:
            return next(str(run["state_type"]) for run in find_runs(ask) if run["id"] == running["id"])

        wait_until(lambda: state_of_cancelled() == "CANCELLED", 30, state_of_cancelled)
        (project.path / "fast").touch()
        before = len(read_history(project))
        wait_until(lambda: len(read_history(project)) > before, 60, "a run after the cancelled one")
        assert (project.path / "out").read_text() == "result\n"
        output = end(service)
    assert "next run: " in output
    assert "Traceback" not in output
    project.wait_for_silence(5)


@pytest.mark.slow
def test_service_that_was_killed_leaves_nothing_and_mends_itself(project: Project) -> None:
    """A power cut in the middle of a run: server, worker, flow and stage are gone; the next service goes on."""
    write_deployment(project)
    project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with serving(project, "--every", "5", "--port", port) as service:
        project.wait_for_file("begun", 120)
        code, output = project.run("serve", "--port", port)
        assert (code, output.count("\n")) == (1, 1)
        assert output.startswith(f"error: failure-atlas serve is at work in this project (pid {service.pid}, since ")
        assert output.endswith("); end it first\n")
        service.kill()
        project.wait_for_silence(5)
    (project.path / "fast").touch()
    with serving(project, "--every", "5", "--port", port) as service:
        wait_until(lambda: bool(read_history(project)), 120, lambda: project.processes())
        output = end(service)
    assert "was cut short: the machine or the service stopped while it ran" in output
    assert (project.path / "out").read_text() == "result\n"
    project.wait_for_silence(5)


def test_mistakes_are_told_before_anything_starts(project: Project) -> None:
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    code, output = project.run("serve")
    assert code == 1
    assert output == (
        f"error: {project.path}/prefect.yaml: not there; it says what runs when: git checkout prefect.yaml\n"
    )
    shutil.copy(ROOT / "prefect.yaml", project.path)
    code, output = project.run("serve", "--cron", "every night")
    assert code == 1
    assert output.startswith('error: --cron: got "every night"; allowed: minute hour day month weekday, e.g. ')
    assert len(output.splitlines()) == 1
    code, output = project.run("serve", "--cron", "0 3 * * *", "--every", "5")
    assert (code, output) == (1, "error: --cron and --every: both given; allowed: one of them\n")
    assert not (project.path / "logs/serve-server.log").exists()


@pytest.mark.parametrize("command", ["serve", "reevaluate"])
def test_unreachable_server_names_the_way_out(project: Project, command: str) -> None:
    shutil.copy(ROOT / "prefect.yaml", project.path)
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
        flags = ["--no-evidence"] if command == "reevaluate" else []
        code, output = project.run(command, *flags, PREFECT_API_URL=url)
    assert (code, len(output.splitlines())) == (1, 1)
    assert output.startswith(f"error: PREFECT_API_URL: nothing answers at {url} (")
    assert output.endswith("or run without Prefect: dvc repro\n")
    assert "up to date" not in output
    assert "Running stage 'a'" in project.dvc("repro"), "the way out works"


def test_prefect_yaml_names_what_is_there() -> None:
    from dvc.utils.serialize import load_yaml

    from flows.reevaluate import reevaluate
    from flows.serve import DEPLOYMENT, POOL

    deployment = load_yaml(str(ROOT / "prefect.yaml"))["deployments"][0]
    assert (deployment["name"], deployment["work_pool"]["name"]) == (DEPLOYMENT, POOL)
    assert deployment["entrypoint"] == f"{reevaluate.fn.__module__}.{reevaluate.fn.__name__}"
    assert set(deployment["parameters"]) == set(reevaluate.parameters.properties)
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert Path(ROOT / "flows/reevaluate.py").is_file()
