"""The deployment of prefect.yaml on a Prefect server, which may serve several checkouts: each has names of its own."""

import json
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.checkout import name_checkout
from flows.errors import FlowError

DEPLOYMENTS = Path("prefect.yaml")
SERVED_DEPLOYMENTS = Path("logs/serve-prefect.yaml")  # the same, under the names of this checkout
FLOW, DEPLOYMENT = "reevaluate", "scheduled"
DEPLOY_SECONDS = 180
PREFECT = [sys.executable, "-m", "prefect"]


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


def _own_name() -> str:
    return f"{DEPLOYMENT}-{name_checkout(Path.cwd())}"


def _make_pool() -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool_name(), type="process"))
        except ObjectAlreadyExists:
            return
