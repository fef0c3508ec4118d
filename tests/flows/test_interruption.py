"""However a run ends, nothing of it lives on. Kills are in test_faults, cancelling from Prefect in test_serve."""

import signal
import time

import pytest

from tests.flows.conftest import SLOW, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def slow_project(served_project: Project) -> Project:
    served_project.write_stages(
        a={"cmd": SLOW, "outs": ["out"]}, b={"cmd": "cp out copy", "deps": ["out"], "outs": ["copy"]}
    )
    return served_project


def test_kill_with_a_temporary_server_leaves_no_server(project_with_database: Project) -> None:
    project = project_with_database
    project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    with project.running("reproduce") as process:
        project.wait_for_file("begun", 90)
        assert any("prefect server start" in command for command in project.processes().values())
        process.kill()
        project.wait_for_silence()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ended_by_signal(slow_project: Project, number: int, expected: int) -> None:
    with slow_project.running("reproduce", "--max-workers", "2") as process:
        slow_project.wait_for_file("begun")
        started = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=90)
        assert time.monotonic() - started < 30
        assert process.returncode == expected, output
        assert "Traceback" not in output
    slow_project.wait_for_silence()
