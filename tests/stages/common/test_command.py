"""A stage as a command: exit codes, one line for a mistake, the run log, help, progress."""

import json
import logging
import os
import re
import subprocess
import sys
import termios
from pathlib import Path
from threading import Thread
from typing import Annotated

import pytest
import typer

from failure_atlas.core import progress as progress_module
from failure_atlas.core.errors import StageError
from failure_atlas.core.progress import Progress
from stages.common.command import RUN_LOG, OutOption, ParamsOption, run_stage
from tests.house import ROOT


def main(
    count: Annotated[int, typer.Option(help="How many to write.")],
    out: OutOption,
    params: ParamsOption = Path("p.yaml"),
):
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
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["stages.room", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_stage(main, "room")
    return stop.value.code


def test_what_comes_from_elsewhere_cannot_write_to_the_terminal(tmp_path):
    source = f"import sys; sys.argv = ['room', '--count', '14', '--out', 'out']; from {__name__} import *; "
    done = subprocess.run(
        [sys.executable, "-c", f"{source}run_stage(main, 'room')"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [r"warning: a server said \x1b[2J", "and more", r"error: a server said \x1b[2Jaccepted\r\xff\u202e"]
    assert (done.returncode, done.stderr.splitlines()) == (1, told)


def test_success_is_0_and_its_duration_goes_to_the_run_log_alone(tmp_path, monkeypatch, capsys):
    assert not run(monkeypatch, "--count", "3", "--out", "out", "--params", "q.yaml")
    assert not run(monkeypatch, "--count", "4", "--out", "other")
    assert (tmp_path / "out" / "numbers").read_text(encoding="utf-8") == "3 q.yaml"
    assert (tmp_path / "other" / "numbers").read_text(encoding="utf-8") == "4 p.yaml"
    entries = [json.loads(line) for line in (tmp_path / RUN_LOG).read_text(encoding="utf-8").splitlines()]
    assert [entry["stage"] for entry in entries] == ["room", "room"]
    assert entries[0]["arguments"] == ["--count", "3", "--out", "out", "--params", "q.yaml"]
    assert all(0 <= entry["seconds"] < 60 for entry in entries)
    assert set(entries[0]) == {"stage", "arguments", "seconds", "finished", "process", "computing"}
    assert capsys.readouterr() == ("", "")


def test_a_wrong_command_line_is_2_a_mistake_one_line_and_1_and_a_defect_keeps_its_traceback(
    tmp_path, monkeypatch, capsys
):
    for wrong, named in (
        ("--out out", "--count"), ("--count many --out out", "--count"), ("--count 3 --out out --speed 1", "--speed"),
    ):  # fmt: skip
        assert run(monkeypatch, *wrong.split()) == 2
        out, err = capsys.readouterr()
        assert (named in err, out) == (True, "")
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


def test_a_real_stage_from_a_shell(tmp_path):
    """A mistake in params: one line, exit code 1, nothing written, not even to the log."""
    (tmp_path / "params.yaml").write_text("prepare_images: {source: cifar}\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-m", "stages.prepare_images", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: params.yaml: prepare_images.")
    assert sorted(tmp_path.rglob("*")) == before


def test_elsewhere_lines_are_sparse_and_hold_rate_and_time_left(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with Progress("walks", 1000, "walk", done=200) as shown:
        for _ in range(40):  # two walks a second, a line every 15 seconds at most
            now[0] += 1.0
            shown.advance(2)
    assert capsys.readouterr().err.splitlines() == [
        "walks: 230/1,000 walk, 2.0 walk/s, 385 s left",
        "walks: 260/1,000 walk, 2.0 walk/s, 370 s left",
        "walks: 280/1,000 walk, 2.0 walk/s, 360 s left",
    ]


def stop_halfway(shown):
    shown.advance(2)
    raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("total", "done", "work", "left"),
    [(2000, 0, 2000, "0"), (5, 5, 0, "0"), (0, 0, 0, "0"), (5, 2, 0, "?"), (5, 0, 7, "0")],
)
def test_short_work_has_one_line_at_the_end_and_a_failure_none(capsys, total, done, work, left):
    with Progress("training", total, "img", done=done) as shown:
        shown.advance(work, "loss 0.5")
    out, err = capsys.readouterr()
    told = rf"training: {done + work:,}/{total:,} img, .* img/s, {re.escape(left)} s left, loss 0\.5\n"
    assert (re.fullmatch(told, err) is not None, out) == (True, "")
    with pytest.raises(RuntimeError, match="stop"), Progress("training", 5, "img") as shown:
        stop_halfway(shown)
    assert not capsys.readouterr().err


def test_in_a_terminal_a_bar_with_rate_and_time_left(monkeypatch):
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    shown = bytearray()

    def read():
        try:
            while part := os.read(ours, 4096):
                shown.extend(part)
        except OSError:  # how Linux says that the other end was closed
            pass

    reader = Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with Progress("training", 2000, "img", done=500) as progress:
            progress.advance(500, "loss 0.5")
            progress.advance(1000)
    reader.join(timeout=10)
    os.close(ours)
    last = shown.decode().replace("\n", "\r").strip("\r").split("\r")[-1]
    assert re.match(r"training: 100%\|.*2\.00k/2\.00k \[.*img/s.*loss 0\.5", last)
