"""No command outlives whoever started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.children import Children, end_supervised, start_supervised
from flows.supervisor import GRACE_SECONDS
from tests.flows.conftest import ROOT, wait_until

STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(300)
"""


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes() != b""  # a zombie has no command line
    except OSError:
        return False


def test_output_and_exit_code_pass_through() -> None:
    lines: list[str] = []
    assert Children().stream(["sh", "-c", "echo out; echo err >&2; exit 7"], lines.append)[0] == 7
    assert lines == ["out", "err"]


def test_signal_becomes_an_exit_code() -> None:
    assert Children().stream(["sh", "-c", "kill -9 $$"], print)[0] == 128 + 9


def test_unknown_command_is_told() -> None:
    lines: list[str] = []
    assert Children().stream(["no-such-command"], lines.append)[0] == 127
    assert lines == ["error: cannot start no-such-command: No such file or directory"]


def test_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.supervisor", "sleep", "1"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (2, "usage: python -m flows.supervisor -- COMMAND...\n")


def test_stop_ends_the_whole_group_and_lets_no_other_start(tmp_path: Path) -> None:
    children = Children()
    script = f"sleep 300 & echo $! > {tmp_path}/inner; echo $$ > {tmp_path}/outer; wait"
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(children.stream(["sh", "-c", script], print)[0]))
    thread.start()
    wait_until((tmp_path / "outer").exists, 20, "start")
    started = time.monotonic()
    children.stop()
    thread.join(timeout=10)
    assert codes == [128 + signal.SIGTERM]
    assert time.monotonic() - started < GRACE_SECONDS, "ended by SIGTERM, not by SIGKILL"
    assert not any(is_alive(int((tmp_path / name).read_text())) for name in ("inner", "outer"))
    assert children.stream(["true"], print)[0] != 0


def test_who_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = start_supervised([sys.executable, "-c", STUBBORN, str(tmp_path / "ready")], subprocess.DEVNULL)
    wait_until((tmp_path / "ready").exists, 20, "start")
    started = time.monotonic()
    assert end_supervised(process) == 128 + signal.SIGKILL
    assert GRACE_SECONDS <= time.monotonic() - started < 6


def test_what_a_killed_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/orphan; kill -9 $$"
    assert Children().stream(["sh", "-c", script], print)[0] == 128 + 9
    assert not is_alive(int((tmp_path / "orphan").read_text()))


# A command that has started another one, as DVC starts a stage, and waits for it.
FAMILY = "sh -c 'echo $$ > inner; exec sleep 300' & echo $$ > outer; wait"


def read_family(folder: Path) -> list[int]:
    """The numbers of the command and of what it has started, as soon as both are there."""
    files = [folder / "outer", folder / "inner"]
    wait_until(lambda: all(file.exists() and file.read_text().endswith("\n") for file in files), 20, "start")
    return [int(file.read_text()) for file in files]


@pytest.mark.parametrize("victim", ["supervisor", "guard"])
def test_killing_who_watches_ends_the_command_and_what_it_has_started(tmp_path: Path, victim: str) -> None:
    codes: list[int] = []
    children = Children()
    script = f"cd {tmp_path}; {FAMILY}"
    thread = threading.Thread(target=lambda: codes.append(children.stream(["sh", "-c", script], print)[0]))
    thread.start()
    numbers = read_family(tmp_path)
    guard = os.getpgid(numbers[0])
    (supervisor,) = (process.pid for process in children._running)
    started = time.monotonic()
    os.kill({"supervisor": supervisor, "guard": guard}[victim], signal.SIGKILL)
    thread.join(timeout=10)
    assert codes == [128 + signal.SIGKILL]
    wait_until(lambda: not any(map(is_alive, [*numbers, guard, supervisor])), 20, "end of the family")
    assert time.monotonic() - started < GRACE_SECONDS, "ended by SIGTERM, not by SIGKILL"


def test_who_ignores_sigterm_is_killed_when_the_supervisor_was(tmp_path: Path) -> None:
    process = start_supervised([sys.executable, "-c", STUBBORN, str(tmp_path / "pid")], subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", 20, "start")
    child = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(child), 20, "end of the orphan")
    end_supervised(process)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_caller_ends_the_command(tmp_path: Path, number: int) -> None:
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 300"]
    caller = f"from flows.children import Children; Children().stream({command}, print)"
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=ROOT)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", 20, "start")
    child = int((tmp_path / "pid").read_text())
    os.kill(process.pid, number)
    process.wait()
    wait_until(lambda: not is_alive(child), 20, "end of the orphan")
