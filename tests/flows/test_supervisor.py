"""No command outlives whoever started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def streaming(children: Children, folder: Path) -> Iterator[tuple[list[int], list[int]]]:
    """A command that has started another, as DVC starts a stage, and waits for it: their numbers, and its exit code.

    It has to end within 10 s of the block, by SIGTERM and not by SIGKILL.
    """
    codes: list[int] = []
    command = ["sh", "-c", SLEEPER.format(folder)]
    thread = threading.Thread(target=lambda: codes.append(children.stream(command, print)[0]))
    thread.start()
    numbers = read_numbers(folder, "outer", "inner")
    started = time.monotonic()
    yield numbers, codes
    thread.join(timeout=10)
    wait_until(lambda: not any(map(is_alive, numbers)), 20, "end of the family")
    assert time.monotonic() - started < GRACE_SECONDS, "ended by SIGTERM, not by SIGKILL"


def test_stop_ends_the_whole_group_and_lets_no_other_start(tmp_path: Path) -> None:
    children = Children()
    with streaming(children, tmp_path) as (_, codes):
        children.stop()
    assert codes == [128 + signal.SIGTERM]
    assert children.stream(["true"], print)[0] != 0


@pytest.mark.parametrize("victim", ["supervisor", "guard"])
def test_killing_who_watches_ends_the_command_and_what_it_has_started(tmp_path: Path, victim: str) -> None:
    children = Children()
    with streaming(children, tmp_path) as (numbers, codes):
        (supervisor,) = (process.pid for process in children._running)
        guard = os.getpgid(numbers[0])
        numbers += [guard, supervisor]
        os.kill({"supervisor": supervisor, "guard": guard}[victim], signal.SIGKILL)
    assert codes == [128 + signal.SIGKILL]


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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_caller_ends_the_command(tmp_path: Path, number: int) -> None:
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; sleep 300"]
    caller = f"from flows.children import Children; Children().stream({command}, print)"
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=ROOT)
    (child,) = read_numbers(tmp_path, "pid")
    os.kill(process.pid, number)
    process.wait()
    wait_until(lambda: not is_alive(child), 20, "end of the orphan")
