"""`failure-atlas gates`: a table, an exit code, and no verdict that is older than what it rests on."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows.errors import FlowError
from flows.gates_command import gates, read_gates, tell_found, tell_verdicts
from tests.flows.conftest import Invoke, Project

Show = Callable[..., tuple[int, str]]


@pytest.fixture
def show(invoke: Invoke) -> Show:
    """The command, run in a project."""
    return partial(invoke, gates)


def write_gates(path: Path, *verdicts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    criteria = [build(f"c{place}", verdict) for place, verdict in enumerate(verdicts)]
    path.write_text(json.dumps({"criteria": criteria}))


def build(name: str, verdict: str) -> dict[str, Any]:
    return {
        "id": name, "verdict": verdict, "metric": "a: b", "comparison": ">=", "bar": 0.9, "because": "that is why",
        "found": {"value": 0.95, "low": 0.93, "high": None, "n": 1000}, "supports": "a clause",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "code", "told"),
    [
        (["pass", "pass"], 0, "2 of 2 criteria pass"),
        (["pass", "fail", "not assessable"], 1, "1 of 3 criteria pass; fail: c1; not assessable: c2"),
        (["pass", "not assessable"], 3, "1 of 2 criteria pass; not assessable: c1"),
        (["fail", "fail"], 1, "0 of 2 criteria pass; fail: c0, c1"),
    ],
)
def test_exit_codes_for_ci(show: Show, tmp_path: Path, verdicts: list[str], code: int, told: str) -> None:
    write_gates(tmp_path / "gates.json", *verdicts)
    assert tell_verdicts(read_gates(tmp_path / "gates.json")) == told
    found, output = show("--file", str(tmp_path / "gates.json"))
    assert found == code
    assert "0.95 [0.93, unknown]" in output.replace("\n", " ")
    assert ">= 0.9" in output
    assert output.splitlines()[-1] == ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in ("pass", "fail", "not assessable")
    )


def test_stale_verdicts_are_refused(show: Show, project: Project) -> None:
    project.write_stages(
        first={"cmd": "cat source > middle", "deps": ["source"], "outs": ["middle"]},
        acceptance={
            "cmd": "mkdir -p data/acceptance && cp middle data/acceptance/gates.json", "deps": ["middle"],
            "outs": [{"data/acceptance/gates.json": {"cache": False}}],
        },
    )  # fmt: skip
    write_gates(project.path / "source", "pass")
    project.dvc("repro")
    assert show()[0] == 0
    write_gates(project.path / "source", "fail")
    with pytest.raises(FlowError, match=r"not up to date, for these stages have changed: first; run: failure-atlas"):
        show()
    code, output = show("--stale-ok")
    assert (code, "1 pass" in output) == (0, True)
    project.dvc("repro")
    assert show()[0] == 1
    write_gates(project.path / "data/acceptance/gates.json", "pass")
    with pytest.raises(FlowError, match="have changed: acceptance;"):
        show()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ('{"criteria": [{"id": "a", "verdict": "pass"}]', "no JSON"),
        ("{}", r"no list of criteria with id and verdict \('criteria'\)"),
        ('{"criteria": []}', "no criteria, or a verdict other than pass, fail, not assessable"),
        ('{"criteria": [{"id": "a", "verdict": "great"}]}', "no criteria, or a verdict other than pass"),
        ('{"criteria": [{"id": "a"}]}', "no list of criteria"),
        ('{"criteria": 3}', "no list of criteria"),
    ],
)
def test_damaged_verdicts_are_named(show: Show, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "gates.json").write_text(text)
    with pytest.raises(FlowError, match=rf"gates\.json: {reason}.*; make it again with: failure-atlas reproduce"):
        show("--file", str(tmp_path / "gates.json"))


def test_without_project_stage_or_file(show: Show, tmp_path: Path, project: Project) -> None:
    with pytest.raises(FlowError, match=r"no dvc\.yaml here"):
        show()
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    with pytest.raises(FlowError, match=r"DVC cannot tell whether .*gates\.json is up to date: .*acceptance"):
        show()
    with pytest.raises(FlowError, match=r"gates\.json: missing; make it with: failure-atlas reproduce acceptance"):
        show("--stale-ok")


def test_a_number_that_is_not_known_is_told() -> None:
    assert tell_found({"found": {"value": None, "low": None, "high": None, "n": 0}}) == "unknown, n=0"
    assert tell_found({}) == "unknown"
