"""Stands between a supervisor and its command, and ends the command if the supervisor is killed.

`python -m flows.guard -- COMMAND...`, started by `flows.supervisor` as the first process of a new group, runs the
command in that group. Its standard input ends when the supervisor does, even by kill -9: then the whole group gets
SIGTERM, and SIGKILL when the command has ended or after GRACE_SECONDS. If this process itself is killed, the supervisor
sees it and ends the group. So no single kill leaves anything behind, on any POSIX system. (PR_SET_PDEATHSIG of Linux
would reach the command alone, not what the command started.)
Signals to the group are the command's to heed. Exit code: the command's, 128 + N if signal N ended it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 3.0  # with REST_SECONDS less than the 5 s after which nothing may be left
REST_SECONDS = 0.5  # for what the command had started to end, once it has ended itself


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
    while os.read(0, 4096):
        pass
    alone.set()
    group = os.getpgrp()
    os.killpg(group, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    time.sleep(REST_SECONDS)
    os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Read the command after `--` and stand before it."""
    sys.exit(guard(sys.argv[sys.argv.index("--") + 1 :]))


if __name__ == "__main__":
    main()
