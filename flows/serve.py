"""What re-evaluates by itself: a Prefect server, and a worker that runs what the deployment on it makes due."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.children import end_supervised, start_supervised
from flows.errors import FlowError
from flows.project import hold_lock
from flows.serve_deployment import deployment_name, next_date, open_client, pool_name
from flows.server import PREFECT, start_server, wait_for_api

SERVE_LOCK = Path("logs/serve.lock")
SERVER_LOG = Path("logs/serve-server.log")
WORKER_LOG = Path("logs/serve-worker.log")


def start_lasting_server(port: int) -> "subprocess.Popen[str]":
    """Start a Prefect server with its page, and wait until it answers; FlowError if it does not start."""
    # On disk: a lease that is forgotten with the server's memory would hold its place for ever.
    leases = "prefect.server.concurrency.lease_storage.filesystem"
    url, process = start_server(port, SERVER_LOG, {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": leases})
    try:
        wait_for_api(url, process, f"--port {port}: the Prefect server", f"{SERVER_LOG}, name another --port")
    except BaseException:  # Ctrl-C too: nobody else knows of it yet
        end_supervised(process)
        raise
    return process


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
    own = ["--pool", pool_name(), "--type", "process", "--install-policy", "never"]
    with WORKER_LOG.open("a", encoding="utf-8") as log:
        return start_supervised([*PREFECT, "worker", "start", *own], log)


def read_next_run() -> str:
    """When the next run is due, in words."""
    from prefect.client.schemas.sorting import FlowRunSort

    with open_client() as client:
        deployment = client.read_deployment_by_name(deployment_name())
        if deployment.paused or not any(each.active for each in deployment.schedules):
            return "none: prefect.yaml has no schedule, or has paused it"
        runs = _find_runs(client, deployment, ["SCHEDULED"], sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=1)
    # A new deployment's runs are there some seconds later, and those of more than 100 days ahead never.
    due = runs[0].expected_start_time if runs else next_date(deployment.schedules)
    if due is None:
        return "none: no day of its schedules is to come"
    told = due.isoformat(timespec="seconds")
    return f"now (it was due at {told})" if due < datetime.now(UTC) else told


def _mend() -> list[str]:
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled, Crashed

    message = "was cut short: the machine or the service stopped while it ran"
    told = []
    with open_client() as client:
        deployment = client.read_deployment_by_name(deployment_name())
        todo = _find_runs(client, deployment, ["RUNNING", "PENDING", "CANCELLING"])
        while todo:
            run = todo.pop()
            inside = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [run.id]}})
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


def _find_runs(client: Any, deployment: Any, types: list[str], **options: Any) -> list[Any]:
    """The runs of a deployment whose states have one of some types."""
    from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter

    among = DeploymentFilter.model_validate({"id": {"any_": [deployment.id]}})
    states = FlowRunFilter.model_validate({"state": {"type": {"any_": types}}})
    return list(client.read_flow_runs(deployment_filter=among, flow_run_filter=states, **options))
