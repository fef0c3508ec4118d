"""The command `failure-atlas serve`."""

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import require_project, say
from flows.errors import FlowError

if TYPE_CHECKING:
    import subprocess

SERVE_HELP = """Re-evaluate on a schedule, as prefect.yaml says: start a Prefect server, a worker and the schedule.

Runs until it is ended (Ctrl-C, SIGTERM); it then ends all that it started. With PREFECT_API_URL that server is used,
else the one at --port if it answers, else one is started there, with its page at http://127.0.0.1:PORT.

One run at a time: a run that falls due while another is at work, scheduled or by hand, is cancelled or skipped with
the reason. Schedules that were missed while this was not running are made up for by one run.

\b
Examples:
  failure-atlas serve                        as prefect.yaml says: every night at 03:00 UTC
  failure-atlas serve --cron "30 6 * * 1-5"  instead of that, at 06:30 UTC from Monday to Friday
  failure-atlas serve --every 3600           instead of that, every hour

Several checkouts may use one server: each has a deployment and a worker of its own, named after it. The printed
`prefect deployment run` starts a run now, from a shell with PREFECT_API_URL set as it is printed.

Exit code: 1 something that it needs did not start or ended, 2 wrong command line, 130 or 143 ended by signal.
"""

POLL_SECONDS = 0.5
MAX_EVERY_SECONDS = 366 * 24 * 3600


def serve(
    cron: Annotated[
        str | None, typer.Option("--cron", help='When, as a cron line in UTC: "0 3 * * *"; default: as prefect.yaml.')
    ] = None,
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, max=MAX_EVERY_SECONDS, help="Seconds between runs, instead of --cron."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the server on this machine.")] = 4200,
) -> None:
    """Start what is needed and wait."""
    require_project()
    if cron is not None and every is not None:
        raise FlowError("--cron and --every: both given; allowed: one of them")
    from flows.children import end_supervised
    from flows.lock import hold_lock
    from flows.server import probe_api, require_api

    url = os.environ.get("PREFECT_API_URL", "")
    given = bool(url)
    url = url or f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = url  # before Prefect is imported, which reads it then
    from flows.serve import (
        SERVE_LOCK,
        SERVER_LOG,
        WORKER_LOG,
        mend_runs,
        read_next_run,
        start_server,
        start_worker,
    )
    from flows.serve_deployment import deploy, deployment_name, read_deployment

    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(SERVE_LOCK))
        except FlowError as error:
            holder = str(error).partition("(")[2].partition(")")[0]
            raise FlowError(f"failure-atlas serve is at work in this project ({holder}); end it first") from error
        asked = read_deployment(cron, every)
        running: dict[str, subprocess.Popen[str]] = {}
        # The worker goes first, so that the server still hears how its runs end.
        stack.callback(lambda: [end_supervised(process) for process in reversed(running.values())])
        if given:
            require_api(url)
        elif probe_api(url) is not None:
            say("starting a Prefect server, which takes some seconds")
            running[f"server (see {SERVER_LOG})"] = start_server(port)
        for line in [*deploy(asked), *mend_runs()]:
            say(line)
        running[f"worker (see {WORKER_LOG})"] = start_worker()
        say(f"serving at {url.removesuffix('/api')}, log in {WORKER_LOG}; Ctrl-C ends it")
        say(f"for other commands: export PREFECT_API_URL={url}")
        say(f"to start a run now: prefect deployment run {deployment_name()}")
        say(f"next run: {read_next_run()}")
        while True:
            time.sleep(POLL_SECONDS)
            for name, process in running.items():
                if process.poll() is not None:
                    raise FlowError(f"the {name} has ended with exit code {process.returncode}; start serve again")
