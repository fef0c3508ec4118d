"""What the command line says to who uses it wrongly, or for the first time."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.flows.conftest import ROOT, Project

METRICS = '{"accuracy": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 1000}}'


HEAVY = ("cryptography", "dvc", "prefect", "pandas", "numpy", "networkx", "torch")


@pytest.mark.parametrize(
    ("modules", "here", "absent"),
    [("flows.cli", [], HEAVY), ("flows.cli, flows.reproduce", ["prefect"], ("stages", "torch"))],
    ids=["the command line loads nothing heavy", "no flow loads a stage"],
)
def test_what_an_import_brings(modules: str, here: list[str], absent: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.split()
    assert {*here} <= {*loaded}
    assert not {*absent} & {*loaded}


COMMANDS = ("reproduce", "metrics", "gates", "compare", "evidence", "verify", "key", "reevaluate", "serve", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_exit_codes_and_shows_examples_line_by_line(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).output
    lines = [line.strip() for line in shown.splitlines()]
    assert any("Exit code: " in line for line in lines)
    assert command == "metrics" or sum(line.startswith(f"failure-atlas {command}") for line in lines) >= 2


def test_mistakes_end_with_a_line_and_a_code(project: Project) -> None:
    shown = CliRunner().invoke(app, []).output
    assert all(command in shown for command in COMMANDS)
    code, output = project.run("reproduce", "--max-workers", "0")
    assert (code, "--max-workers" in output) == (2, True)
    absent = f"error: {project.path}: no dvc.yaml here; go to the project's root and try again\n"
    assert project.run("reproduce") == (1, absent)
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]}, b={"cmd": "echo > copy", "outs": ["copy"]})
    assert project.run("reproduce", "c") == (1, "error: unknown target 'c'; stages of dvc.yaml: a, b\n")


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
