"""What the command line says to who uses it wrongly, or for the first time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import ROOT, Project

METRICS = '{"accuracy": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 1000}}'


def test_help_shows_examples_quickly(project: Project) -> None:
    code, output = project.run("reproduce", "--help")
    assert code == 0
    assert "failure-atlas reproduce train_classifiers@clean" in output
    assert "--max-workers" in output


def test_command_line_imports_nothing_heavy() -> None:
    code = "import sys, flows.cli; print({name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not any(f"'{name}'" in done.stdout for name in ("dvc", "prefect", "pandas", "numpy", "networkx", "torch"))


def test_no_command_shows_the_commands(project: Project) -> None:
    _, output = project.run()
    assert "reproduce" in output


def test_wrong_option_is_two(project: Project) -> None:
    code, output = project.run("reproduce", "--max-workers", "0")
    assert code == 2
    assert "--max-workers" in output


def test_outside_of_a_project(project: Project) -> None:
    code, output = project.run("reproduce")
    assert (code, output) == (1, f"error: {project.path}: no dvc.yaml here; go to the project's root and try again\n")


def test_unknown_target_lists_the_known(project: Project) -> None:
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]}, b={"cmd": "echo > copy", "outs": ["copy"]})
    code, output = project.run("reproduce", "c")
    assert (code, output) == (1, "error: unknown target 'c'; stages of dvc.yaml: a, b\n")


@pytest.mark.slow
def test_without_a_server_a_temporary_one_is_used_and_gone_after(project: Project) -> None:
    project.write_stages(a={"cmd": "echo x > out", "outs": ["out"]})
    code, output = project.run("reproduce")
    assert code == 0, output
    assert (project.path / ".prefect/prefect.db").exists(), "its state stays in the project"
    project.wait_for_silence()
    assert "Error" not in output


def test_with_nothing_to_do_dvc_is_asked_and_no_server_started(project: Project) -> None:
    stages = {
        "a": {"cmd": "echo a > a", "outs": ["a"]},
        "b": {"cmd": f"cp a b; echo '{METRICS}' > m.json", "deps": ["a"], "outs": ["b"], "metrics": ["m.json"]},
    }
    project.write_stages(**stages)
    project.dvc("repro")
    for targets, count in (([], 2), (["a"], 1)):
        code, output = project.run("reproduce", *targets)
        assert (code, output.splitlines()[0]) == (0, f"{count} stages are up to date; nothing had changed")
    code, output = project.run("metrics")
    assert code == 0
    assert ["", "b", "accuracy", "0.91", "0.9 to 0.92", "1,000", ""] in [
        [cell.strip() for cell in line.split("│")] for line in output.splitlines()
    ]
    assert not (project.path / ".prefect").exists()


def test_server_that_cannot_start_is_told_at_once(project: Project) -> None:
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    started = time.monotonic()
    database = "sqlite+aiosqlite:////no/such/folder/prefect.db"
    code, output = project.run("reproduce", PREFECT_API_DATABASE_CONNECTION_URL=database)
    assert code == 1
    assert "error: the temporary Prefect server did not start (" in output
    assert "see logs/prefect-server.log, or run without Prefect: dvc repro" in output
    assert time.monotonic() - started < 60
    project.wait_for_silence()


def test_flows_import_no_stage() -> None:
    code = "import sys, flows.cli, flows.reproduce; print({name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "'prefect'" in done.stdout
    assert "'stages'" not in done.stdout
    assert "'torch'" not in done.stdout


def test_called_in_a_subfolder_dvc_still_finds_the_project(project: Project) -> None:
    """A relative site cache inside `.dvc` would have made the subfolder a project of its own."""
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    below = project.path / "below"
    below.mkdir()
    for _ in range(2):
        shown = subprocess.check_output(
            [sys.executable, "-m", "dvc", "root"], cwd=below, env=project.environment, text=True
        )
        subprocess.run(
            [sys.executable, "-m", "dvc", "status"], cwd=below, env=project.environment, check=True, capture_output=True
        )
        assert Path(shown.strip()) == Path("..")
