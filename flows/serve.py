"""What re-evaluates by itself: a Prefect server, the deployment of prefect.yaml on it, and a worker that runs it.

One server may serve several checkouts: the deployment and the pool of its worker are named after the checkout.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.checkout import name_checkout
from flows.children import end_supervised, start_supervised
from flows.errors import FlowError
from flows.lock import hold_lock
from flows.server import WAY_OUT, probe_api

DEPLOYMENTS = Path("prefect.yaml")
SERVED_DEPLOYMENTS = Path("logs/serve-prefect.yaml")  # the same, under the names of this checkout
FLOW, DEPLOYMENT = "reevaluate", "scheduled"
SERVE_LOCK = Path("logs/serve.lock")
SERVER_LOG = Path("logs/serve-server.log")
WORKER_LOG = Path("logs/serve-worker.log")
DEPLOY_SECONDS = 180
PREFECT = [sys.executable, "-m", "prefect"]


def start_server(port: int) -> "subprocess.Popen[str]":
    """Start a Prefect server with its page; it ends when the returned process's stdin is closed.

    Its database is in PREFECT_HOME, so schedules and history outlive it. FlowError if it does not start.
    """
    url = f"http://127.0.0.1:{port}/api"
    SERVER_LOG.parent.mkdir(exist_ok=True)
    with SERVER_LOG.open("w", encoding="utf-8") as log:
        process = start_supervised(
            [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            log,
            # On disk: a lease that is forgotten with the server's memory would hold its place for ever.
            {
                "PREFECT_API_URL": url,
                "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
                "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            },
        )
    try:
        _wait_for_server(url, process, port)
    except BaseException:  # Ctrl-C too: nobody else knows of it yet
        end_supervised(process)
        raise
    return process


def deployment_name() -> str:
    """What the deployment of this checkout is called on a server, as `FLOW/NAME`."""
    return f"{FLOW}/{_own_name()}"


def pool_name() -> str:
    """The pool that only the worker of this checkout serves."""
    return name_checkout(Path.cwd())


def deploy(cron: str | None, every: int | None) -> None:
    """Put the deployment of prefect.yaml on the server of PREFECT_API_URL, with another schedule if one is given.

    cron: a cron line, in UTC.  every: seconds between runs.  It gets the name and the pool of this checkout, and its
    path as a tag. Raises FlowError with Prefect's last lines if it refuses.
    """
    _make_pool()
    write_served()
    schedule = ["--cron", cron, "--timezone", "UTC"] if cron else ["--interval", str(every)] if every else []
    try:
        done = subprocess.run(
            [
                *PREFECT, "--no-prompt", "deploy", "--prefect-file", str(SERVED_DEPLOYMENTS),
                "--name", _own_name(), *schedule,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FlowError(f"prefect deploy: no answer within {DEPLOY_SECONDS} s; is the server overloaded?") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise FlowError(f"prefect deploy --name {_own_name()}: {' '.join(lines[-3:]) or 'no message'}")


def write_served() -> None:
    """Write the deployment of prefect.yaml under this checkout's names, for `prefect deploy`.

    FlowError if there is none in it.
    """
    try:
        read = YAML(typ="safe").load(DEPLOYMENTS.read_text(encoding="utf-8"))
        (found,) = [each for each in read["deployments"] if each["name"] == DEPLOYMENT]
        own = {
            "name": _own_name(),
            "tags": [*found.get("tags", ()), f"checkout: {Path.cwd()}"],
            "work_pool": {**found.get("work_pool", {}), "name": pool_name()},
        }
    except (YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowError(
            f"{DEPLOYMENTS}: no deployment named {DEPLOYMENT} can be read from it ({' '.join(str(error).split())}); "
            f"restore it with: git checkout {DEPLOYMENTS}"
        ) from error
    SERVED_DEPLOYMENTS.parent.mkdir(exist_ok=True)
    # JSON is YAML.
    SERVED_DEPLOYMENTS.write_text(json.dumps({**read, "deployments": [{**found, **own}]}, indent=1), encoding="utf-8")


def require_deployments() -> None:
    """FlowError unless the project has a prefect.yaml."""
    if not DEPLOYMENTS.is_file():
        raise FlowError(f"{Path.cwd() / DEPLOYMENTS}: not there; it says what runs when: git checkout {DEPLOYMENTS}")


def check_cron(cron: str) -> None:
    """FlowError unless Prefect can read a cron line."""
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron)
    except ValueError as error:
        raise FlowError(
            f'--cron: got "{cron}"; allowed: minute hour day month weekday, e.g. "0 3 * * *" for 03:00 UTC every night'
        ) from error


def mend_runs() -> list[str]:
    """End what the server still takes for running although nothing runs in this project; returns one line each.

    After a power cut the server waits for runs that are gone, and lets no other start in their place. Does nothing
    while a manual run holds the lock.
    """
    try:
        with hold_lock():
            return _mend()
    except FlowError as error:
        return [f"runs that were cut short are not looked for: {error}"]


def start_worker() -> "subprocess.Popen[str]":
    """Start the worker that runs what is due; it ends when the returned process's stdin is closed."""
    WORKER_LOG.parent.mkdir(exist_ok=True)
    with WORKER_LOG.open("a", encoding="utf-8") as log:
        return start_supervised(
            [*PREFECT, "worker", "start", "--pool", pool_name(), "--type", "process", "--install-policy", "never"], log
        )


def read_next_run() -> str:
    """When the next run is due, in words."""
    from prefect.client.schemas.sorting import FlowRunSort

    with _open_client() as client:
        runs = client.read_flow_runs(
            deployment_filter=_filter_deployment(client),
            flow_run_filter=_filter_states(["SCHEDULED"]),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=1,
        )
    if not runs:
        return "none is scheduled yet"
    due: datetime = runs[0].expected_start_time
    told = due.isoformat(timespec="seconds")
    return f"now (it was due at {told})" if due < datetime.now(UTC) else told


def _wait_for_server(url: str, process: "subprocess.Popen[str]", port: int) -> None:
    patience = float(os.environ.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90"))
    deadline = time.monotonic() + patience
    while (fault := probe_api(url)) is not None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise FlowError(
                f"--port {port}: the Prefect server did not start ({fault}); see {SERVER_LOG}, name another --port, "
                f"{WAY_OUT}"
            )
        time.sleep(0.1)


def _own_name() -> str:
    return f"{DEPLOYMENT}-{name_checkout(Path.cwd())}"


def _make_pool() -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with _open_client() as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool_name(), type="process"))
        except ObjectAlreadyExists:
            return


def _mend() -> list[str]:
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled, Crashed

    message = "was cut short: the machine or the service stopped while it ran"
    told = []
    with _open_client() as client:
        deployment = client.read_deployment_by_name(deployment_name())
        todo = client.read_flow_runs(
            deployment_filter=_filter_deployment(client),
            flow_run_filter=_filter_states(["RUNNING", "PENDING", "CANCELLING"]),
        )
        while todo:
            run = todo.pop()
            inside = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
            todo += [each for each in client.read_flow_runs(flow_run_filter=inside) if not each.state.is_final()]
            state: Any = Cancelled if run.state.is_cancelling() else Crashed
            client.set_flow_run_state(run.id, state(message=message))
            told.append(f"{run.name} {message}")
        try:
            limit = client.read_global_concurrency_limit_by_name(f"deployment:{deployment.id}")
        except ObjectNotFound:
            return told
        if limit.active_slots:
            client.update_global_concurrency_limit(limit.name, GlobalConcurrencyLimitUpdate(active_slots=0))
    return told


def _open_client() -> Any:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)


def _filter_deployment(client: Any) -> Any:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    deployment = client.read_deployment_by_name(deployment_name())
    return DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))


def _filter_states(types: list[str]) -> Any:
    from prefect.client.schemas.filters import FlowRunFilter

    return FlowRunFilter.model_validate({"state": {"type": {"any_": types}}})
