"""One run at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import FlowError
from flows.project import hold_lock
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
