"""The Prefect server that a run reports to: the user's own, or a temporary one that ends with the run."""

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from flows.children import end_supervised, start_supervised
from flows.errors import FlowError

PREFECT = [sys.executable, "-m", "prefect"]
SERVER_LOG = Path("logs/prefect-server.log")
WAY_OUT = "or run without Prefect: dvc repro"


def use_api(say: Callable[[str], None]) -> Callable[[], None]:
    """Point Prefect at an API: that of PREFECT_API_URL, which has to answer, else a temporary server.

    Returns what waits until it can be used, so that a temporary server starts up while Prefect is imported.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        require_api(url)
        return lambda: None
    say("starting a temporary Prefect server, which takes some seconds")
    url, server = start_temporary_server()
    os.environ["PREFECT_API_URL"] = url
    return lambda: wait_for_api(url, server, "the temporary Prefect server", str(SERVER_LOG))


def start_temporary_server() -> tuple[str, "subprocess.Popen[str]"]:
    """Start a server that ends with this process, however that ends; returns its API address and its process at once.

    Call it before Prefect is imported: what was registered first is ended last, and Prefect delivers its last logs
    when the process exits. Call `wait_for_api` before the first use.
    """
    url, process = start_server(find_free_port(), SERVER_LOG, {"PREFECT_SERVER_UI_ENABLED": "false"})
    atexit.register(end_supervised, process)
    return url, process


def find_free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(port: int, log: Path, environment: Mapping[str, str]) -> tuple[str, "subprocess.Popen[str]"]:
    """Start a Prefect server on this machine; it ends when the returned process's stdin is closed.

    Its database is in PREFECT_HOME, so that schedules and history outlive it.
    """
    url = f"http://127.0.0.1:{port}/api"
    log.parent.mkdir(exist_ok=True)
    environment = {"PREFECT_API_URL": url, "PREFECT_SERVER_LOGGING_LEVEL": "WARNING", **environment}
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w", encoding="utf-8") as file:
        return url, start_supervised(command, file, environment)


def wait_for_api(url: str, process: "subprocess.Popen[str]", fault_begins: str, fault_ends: str) -> None:
    """Wait until a server answers; FlowError if it ends, or is silent for longer than Prefect allows.

    fault_begins, fault_ends: what the error says before and after the reason.
    """
    patience = float(os.environ.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90"))
    deadline = time.monotonic() + patience
    while (fault := probe_api(url)) is not None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise FlowError(f"{fault_begins} did not start ({fault}); see {fault_ends}, {WAY_OUT}")
        time.sleep(0.1)


def require_api(url: str) -> None:
    """Check that the server of PREFECT_API_URL answers; FlowError with the way out if it does not."""
    fault = probe_api(url, timeout_seconds=30)  # one that is busy is there, too
    if fault is not None:
        raise FlowError(
            f"PREFECT_API_URL: nothing answers at {url} ({fault}); start that server, unset the variable to use a "
            f"temporary one, {WAY_OUT}"
        )


def probe_api(url: str, timeout_seconds: float = 5.0) -> str | None:
    """Ask a Prefect API whether it is there; None if it is, else why not."""
    if not url.startswith(("http://", "https://")):
        return "not an http address"
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=timeout_seconds):  # noqa: S310 - checked above
            return None
    except urllib.error.HTTPError as error:
        # Somebody who wants a key is there; somebody who knows no such page is no Prefect API.
        return None if error.code in (401, 403) else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
