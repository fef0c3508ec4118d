"""No command outlives whoever started it."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.children import Children, end_supervised, start_supervised
from flows.supervisor import GRACE_SECONDS
from tests.flows.conftest import ROOT, wait_until

STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()}\\n")
time.sleep(300)
"""


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes() != b""  # a zombie has no command line
    except OSError:
        return False


SLEEPER = "sleep 300 & echo $! > {0}/inner; echo $$ > {0}/outer; wait"


def run(*command: str) -> tuple[int, list[str]]:
    return Children().stream([*command], print)


def test_output_and_exit_code_pass_through() -> None:
    assert run("sh", "-c", "echo out; echo err >&2; exit 7") == (7, ["out", "err"])
    assert run("sh", "-c", "kill -9 $$") == (128 + 9, [])
    assert run("no-such-command") == (127, ["error: cannot start no-such-command: No such file or directory"])


def test_usage() -> None:
    command = [sys.executable, "-m", "flows.supervisor", "sleep", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (2, "usage: python -m flows.supervisor -- COMMAND...\n")


def read_numbers(folder: Path, *names: str) -> list[int]:
    """The numbers of processes that wrote them down, as soon as all are there."""
    files = [folder / name for name in names]
    wait_until(lambda: all(file.exists() and file.read_text().endswith("\n") for file in files), 20, "start")
    return [int(file.read_text()) for file in files]


def test_stop_ends_the_whole_group_and_lets_no_other_start(tmp_path: Path) -> None:
    """A command that has started another, as DVC starts a stage, and waits for it; ended by SIGTERM, not by SIGKILL.

    What a kill of the caller, of the supervisor or of its guard leaves is tested in test_faults.
    """
    children = Children()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(children.stream, ["sh", "-c", SLEEPER.format(tmp_path)], print)
        numbers = read_numbers(tmp_path, "outer", "inner")
        started = time.monotonic()
        children.stop()
        assert ended.result(timeout=20)[0] == 128 + signal.SIGTERM
    wait_until(lambda: not any(map(is_alive, numbers)), 20, "end of the family")
    assert time.monotonic() - started < GRACE_SECONDS
    assert children.stream(["true"], print)[0] != 0


def test_who_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = start_supervised([sys.executable, "-c", STUBBORN, str(tmp_path / "ready")], subprocess.DEVNULL)
    read_numbers(tmp_path, "ready")
    started = time.monotonic()
    assert end_supervised(process) == 128 + signal.SIGKILL
    assert GRACE_SECONDS <= time.monotonic() - started < 6


def test_what_a_killed_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    assert run("sh", "-c", f"sleep 300 & echo $! > {tmp_path}/orphan; kill -9 $$") == (128 + 9, [])
    assert not is_alive(*read_numbers(tmp_path, "orphan"))


def test_who_ignores_sigterm_is_killed_when_the_supervisor_was(tmp_path: Path) -> None:
    process = start_supervised([sys.executable, "-c", STUBBORN, str(tmp_path / "pid")], subprocess.DEVNULL)
    (child,) = read_numbers(tmp_path, "pid")
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(child), 20, "end of the orphan")
    end_supervised(process)
