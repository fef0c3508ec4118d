"""Runs one command so that it can never outlive whoever started it.

`python -m flows.supervisor -- COMMAND...` starts the command in a session of its own, with this process's output. When
standard input ends (which it does even if the caller is killed with -9), or on SIGTERM, SIGINT or SIGHUP, the command
and everything in its process group get SIGTERM, and SIGKILL after GRACE_SECONDS. What a command leaves running in its
group when it ends by itself, or is killed, goes the same way. Exit code: the command's, 128 + N if signal N ended it.

If the supervisor itself is killed with -9, its guard does the same: the first process of the group, which runs the
command (`python -m flows.supervisor --guard -- COMMAND...`), and whose standard input ends when the supervisor does. If
the guard is killed, the supervisor sees it and ends the group. So no single kill leaves anything behind, on any POSIX
system. (PR_SET_PDEATHSIG of Linux would reach the command alone, not what the command started.)
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 4.0  # so that nothing is left 5 s after a kill
GUARD_SECONDS = 3.0  # the guard's grace, with REST_SECONDS less than those 5 s
REST_SECONDS = 0.5  # for what the command had started to end, once it has ended itself
POLL_SECONDS = 0.05
GUARD = [sys.executable, "-m", "flows.supervisor", "--guard", "--"]


def supervise(command: list[str]) -> int:
    """Run a command until it ends or this process is told to stop; returns the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_watch_stdin, args=(stopping,), daemon=True).start()
    # The guard lives as long as its standard input, which nothing but this process holds open.
    with subprocess.Popen([*GUARD, *command], stdin=subprocess.PIPE, start_new_session=True) as child:
        while child.poll() is None and not stopping.wait(POLL_SECONDS):
            pass
        _end_group(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _wait_for_end() -> None:
    """Return when standard input has ended."""
    while os.read(0, 4096):
        pass


def _watch_stdin(stopping: threading.Event) -> None:
    _wait_for_end()
    stopping.set()


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """End all processes of the child's group, and wait for the child itself."""
    deadline = time.monotonic() + GRACE_SECONDS
    alive = _signal_group(child.pid, signal.SIGTERM)
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        child.poll()
        alive = _signal_group(child.pid, 0)
    if alive:
        _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group (0: only look); False if no process is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says this of a group of zombies
        return False
    return True


def guard(command: list[str]) -> int:
    """Run a command until it ends; returns its exit code. Does not return if standard input ends first."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)  # a handler, for ignored signals would stay ignored in the command
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"error: cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    alone = threading.Event()
    watch = threading.Thread(target=_end_with_supervisor, args=(child, alone), daemon=True)
    watch.start()
    code = child.wait()
    if alone.is_set():
        watch.join()  # which ends this process
    return code if code >= 0 else 128 - code


def _stay(_number: int, _frame: object) -> None:
    """Signals reach the whole group; this process stays as long as the command does."""


def _end_with_supervisor(child: "subprocess.Popen[bytes]", alone: threading.Event) -> None:
    """Wait until the supervisor is gone, then end the group, this process with it."""
    _wait_for_end()
    alone.set()
    group = os.getpgrp()
    os.killpg(group, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GUARD_SECONDS)
    time.sleep(REST_SECONDS)
    os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Read the command after `--` and supervise it, or stand guard over it."""
    options, command = sys.argv[1:2], sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if not command:
        print("usage: python -m flows.supervisor -- COMMAND...", file=sys.stderr)
        sys.exit(2)
    sys.exit(guard(command) if options == ["--guard"] else supervise(command))


if __name__ == "__main__":
    main()
