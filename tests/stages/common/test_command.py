"""A stage as a command: exit codes, one line for a mistake, the run log, help."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from failure_atlas.core.errors import StageError
from stages.common.command import RUN_LOG, OutOption, ParamsOption, run_stage
from tests.house import ROOT


def main(
    count: Annotated[int, typer.Option(help="How many to write.")],
    out: OutOption,
    params: ParamsOption = Path("p.yaml"),
) -> None:
    """Write some numbers.

    The second paragraph.
    """
    if count == 13:
        raise StageError("room.count: got 13; allowed: another number")
    if count == 14:
        logging.warning("warning: a server said \x1b[2J\nand more")
        raise StageError("a server said \x1b[2Jaccepted\r\udcff\u202e")
    if count == 99:
        raise RuntimeError("a defect")
    out.mkdir()
    (out / "numbers").write_text(f"{count} {params}", encoding="utf-8")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["stages.room", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_stage(main, "room")
    return stop.value.code


def test_what_comes_from_elsewhere_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    source = f"import sys; sys.argv = ['room', '--count', '14', '--out', 'out']; from {__name__} import *; "
    done = subprocess.run(
        [sys.executable, "-c", f"{source}run_stage(main, 'room')"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        r"warning: a server said \x1b[2J",
        "and more",
        r"error: a server said \x1b[2Jaccepted\r\xff\u202e",
    ]


def test_success_is_0_and_its_duration_goes_to_the_run_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(monkeypatch, "--count", "3", "--out", "out", "--params", "q.yaml")
    assert not run(monkeypatch, "--count", "4", "--out", "other")
    assert (tmp_path / "out" / "numbers").read_text(encoding="utf-8") == "3 q.yaml"
    assert (tmp_path / "other" / "numbers").read_text(encoding="utf-8") == "4 p.yaml"
    entries = [json.loads(line) for line in (tmp_path / RUN_LOG).read_text(encoding="utf-8").splitlines()]
    assert [entry["stage"] for entry in entries] == ["room", "room"]
    assert entries[0]["arguments"] == ["--count", "3", "--out", "out", "--params", "q.yaml"]
    assert all(0 <= entry["seconds"] < 60 for entry in entries)
    assert set(entries[0]) == {"stage", "arguments", "seconds", "finished", "process", "computing"}
    captured = capsys.readouterr()
    assert not captured.out
    assert not captured.err


def test_a_wrong_command_line_is_2_a_mistake_one_line_and_1_and_a_defect_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong, named in (
        ("--out out", "--count"), ("--count many --out out", "--count"), ("--count 3 --out out --speed 1", "--speed"),
    ):  # fmt: skip
        assert run(monkeypatch, *wrong.split()) == 2
        captured = capsys.readouterr()
        assert named in captured.err
        assert not captured.out
    assert run(monkeypatch, "--count", "13", "--out", "out") == 1
    assert capsys.readouterr() == ("", "error: room.count: got 13; allowed: another number\n")
    assert not run(monkeypatch, "--help")
    shown = capsys.readouterr().out
    for text in ("Write some numbers.", "The second paragraph.", "--count", "How many to write.", "--out", "--params"):
        assert text in shown
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(sys, "argv", ["stages.room", "--count", "99", "--out", "out"])
    with pytest.raises(RuntimeError, match="a defect"):
        run_stage(main, "room")


def test_a_real_stage_from_a_shell(tmp_path: Path) -> None:
    """A mistake in params: one line, exit code 1, nothing written, not even to the log."""
    (tmp_path / "params.yaml").write_text("prepare_images: {source: cifar}\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-m", "stages.prepare_images", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: params.yaml: prepare_images.")
    assert sorted(tmp_path.rglob("*")) == before
