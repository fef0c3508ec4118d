"""Runs one command so that it can never outlive whoever started it.

`python -m flows.supervisor -- COMMAND...` starts the command in a session of its own, with this process's output. When
standard input ends (which it does even if the caller is killed with -9), or on SIGTERM, SIGINT or SIGHUP, the command
and everything in its process group get SIGTERM, and SIGKILL after GRACE_SECONDS. What a command leaves running in its
group when it ends by itself, or is killed, goes the same way. If this process itself is killed with -9, `flows.guard`,
which stands between it and the command, does the same. Exit code: the command's, 128 + N if signal N ended it.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 4.0  # so that nothing is left 5 s after a kill
POLL_SECONDS = 0.05
GUARD = [sys.executable, "-m", "flows.guard", "--"]


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


def _watch_stdin(stopping: threading.Event) -> None:
    while os.read(0, 4096):
        pass
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


def main() -> None:
    """Read the command after `--` and supervise it."""
    command = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if not command:
        print("usage: python -m flows.supervisor -- COMMAND...", file=sys.stderr)
        sys.exit(2)
    sys.exit(supervise(command))


if __name__ == "__main__":
    main()
