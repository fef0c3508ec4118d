"""However a run ends, nothing of it lives on, and the next run mends what it left."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.conftest import Project, wait_until

pytestmark = pytest.mark.slow

SLOW = "echo begun > begun; test -e fast || sleep 300; echo result > out"
Ask = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
def slow_project(served_project: Project) -> Project:
    served_project.write_stages(
        a={"cmd": SLOW, "outs": ["out"]}, b={"cmd": "cp out copy", "deps": ["out"], "outs": ["copy"]}
    )
    return served_project


def check_next_run_mends(project: Project) -> None:
    (project.path / "fast").touch()
    project.dvc("repro")
    assert (project.path / "copy").read_text() == "result\n"


def test_kill_of_the_flow_leaves_no_orphan(slow_project: Project) -> None:
    with slow_project.start("reproduce") as process:
        slow_project.wait_for_file("begun")
        process.kill()
        slow_project.wait_for_silence(5)
    check_next_run_mends(slow_project)


def test_kill_with_a_temporary_server_leaves_no_server(project: Project) -> None:
    project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    with project.start("reproduce") as process:
        project.wait_for_file("begun", 90)
        assert any("prefect server start" in command for command in project.processes().values())
        process.kill()
        project.wait_for_silence(5)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ended_by_signal(slow_project: Project, number: int, expected: int) -> None:
    with slow_project.start("reproduce", "--max-workers", "2") as process:
        slow_project.wait_for_file("begun")
        started = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert time.monotonic() - started < 15
        assert process.returncode == expected, output
        assert "Traceback" not in output
    slow_project.wait_for_silence(1)


def test_second_run_says_who_is_at_work_and_ends_at_once(slow_project: Project) -> None:
    with slow_project.start("reproduce") as first:
        slow_project.wait_for_file("begun")
        code, output = slow_project.run("reproduce")
        assert code == 1
        assert output.startswith(f"error: another run is at work in this project (pid {first.pid}, since ")
        assert len(output.splitlines()) == 1
        first.kill()


def test_cancel_from_prefect_ends_the_stage(slow_project: Project, server: str, ask: Ask) -> None:
    """A run of a served deployment, cancelled as the Cancel button of Prefect's page does it."""
    serve = "from flows.reproduce import reproduce; reproduce.serve(name='test', pause_on_shutdown=False)"
    environment = slow_project.environment | {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", serve],
        cwd=slow_project.path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deployments: list[Any] = []

            def is_deployed() -> bool:
                deployments[:] = ask("deployments/filter", {"deployments": {"name": {"any_": ["test"]}}})
                return bool(deployments)

            wait_until(is_deployed, 60, "deployment")
            flow_run = ask(f"deployments/{deployments[0]['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
            slow_project.wait_for_file("begun", 90)
            ask(f"flow_runs/{flow_run['id']}/set_state", {"state": {"type": "CANCELLING"}})
            wait_until(
                lambda: not any("sleep 300" in command for command in slow_project.processes().values()),
                30,
                lambda: f"still alive: {slow_project.processes()}",
            )

            def state() -> str:
                return str(ask("flow_runs/filter", {"flow_runs": {"id": {"any_": [flow_run["id"]]}}})[0]["state_type"])

            wait_until(lambda: state() == "CANCELLED", 30, state)
        finally:
            process.terminate()
    slow_project.wait_for_silence(5)
