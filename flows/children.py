"""The processes that a flow starts, each under a supervisor, so that all can be ended together."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any


def start_supervised(
    command: list[str],
    output: int | IO[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    inherit: bool = True,
) -> "subprocess.Popen[str]":
    """Start a command under `flows.supervisor`; it ends when the returned process's stdin is closed.

    output: where stdout and stderr go together.  environment: added to this process's own, unless it is not to be
    inherited.  folder: where it runs, by default the current one.
    The supervisor gets a session of its own, so that Ctrl-C in a terminal reaches the flow alone.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "flows.supervisor", "--", *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**(os.environ if inherit else {}), **(environment or {})},
        cwd=folder,
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def end_supervised(process: "subprocess.Popen[str]") -> int:
    """Tell a supervisor to end its command and wait for it; returns its exit code."""
    release_supervised(process)
    return _tell_code(process.wait())


def release_supervised(process: "subprocess.Popen[str]") -> None:
    """Tell a supervisor to end its command, without waiting."""
    if process.stdin is not None:
        process.stdin.close()


class Children:
    """The commands of one flow run. `stop` ends those that run and lets no other start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def stream(self, command: list[str], on_line: Callable[[str], None], **start: Any) -> tuple[int, list[str]]:
        """Run a command, hand each line of its output to `on_line`, return its exit code and all lines.

        start: options of `start_supervised`.
        """
        with self._lock:
            if self.stopped:
                return 128 + 15, []
            process = start_supervised(command, subprocess.PIPE, **start)
            self._running.add(process)
        lines: list[str] = []
        try:
            if process.stdout is None:
                raise RuntimeError("started without a pipe")
            with process.stdout:
                for line in process.stdout:
                    lines.append(line.rstrip())
                    on_line(lines[-1])
        finally:
            # The output ends when the command has ended, so in the good case this only collects the exit code.
            code = _tell_code(process.wait()) if sys.exc_info()[0] is None else end_supervised(process)
            release_supervised(process)
            with self._lock:
                self._running.discard(process)
        return code, lines

    def stop(self) -> None:
        """End all running commands; their `stream` calls then return."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                release_supervised(process)


def _tell_code(code: int) -> int:
    """A supervisor's exit code, in the form in which it tells its command's: 128 + N if signal N ended it."""
    return code if code >= 0 else 128 - code
