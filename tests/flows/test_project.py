"""A project on disk: one run at a time, files that are whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import FlowError
from flows.project import append_line, hold_lock, read_lines, write_atomically
from tests.flows.conftest import ROOT

HOLDER = """
import pathlib, sys, time
from flows.project import hold_lock
with hold_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_process_is_told_who_holds_it_and_a_kill_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "logs/flow.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(FlowError, match=rf"another run is at work in this project \(pid {holder.pid}, since "),
            hold_lock(path),
        ):
            pass
        holder.kill()
    with hold_lock(path):
        assert "pid" in path.read_text()
    assert path.read_text() == ""


def test_same_process_may_take_it_again(tmp_path: Path) -> None:
    path = tmp_path / "flow.lock"
    with hold_lock(path):
        with hold_lock(path):
            pass
        assert "pid" in path.read_text(), "the inner one must not free it"


def test_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "accepted"
    write_atomically(path, "one\n")
    with pytest.raises(TypeError):
        write_atomically(path, b"bytes")
    assert [entry.name for entry in tmp_path.iterdir()] == ["accepted"]
    assert path.read_text() == "one\n"


def test_log_survives_a_cut_at_every_byte(tmp_path: Path) -> None:
    path, entry = tmp_path / "logs/reevaluate.jsonl", {"flow_run": "calm-fox", "began": "2026-01-02T03:00:00+00:00"}
    append_line(path, entry)
    whole = path.read_bytes()
    assert list(read_lines(path)) == [entry]
    for length in range(len(whole)):
        path.write_bytes(whole + whole[:length])
        append_line(path, entry)
        complete = length == len(whole) - 1  # all but the newline
        assert list(read_lines(path)) == [entry] * (3 if complete else 2)
