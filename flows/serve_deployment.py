"""The deployment of prefect.yaml on a Prefect server, which may serve several checkouts: each has names of its own."""

import asyncio
import json
import re
import secrets
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.errors import FlowError
from flows.project import write_atomically
from flows.server import PREFECT

DEPLOYMENTS = Path("prefect.yaml")
SERVED_DEPLOYMENTS = Path("logs/serve-prefect.yaml")  # the same, under the names of this checkout
FLOW, DEPLOYMENT = "reevaluate", "scheduled"
DEPLOY_SECONDS = 180
CRON = 'minute hour day month weekday, e.g. "0 3 * * *" for 03:00 UTC every night'
KINDS = (
    "cron, interval or rrule, and perhaps timezone; see "
    "https://docs.prefect.io/v3/how-to-guides/deployments/create-schedules"
)


def deployment_name() -> str:
    """What the deployment of this checkout is called on a server, as `FLOW/NAME`."""
    return f"{FLOW}/{_own_name()}"


def pool_name() -> str:
    """The pool that only the worker of this checkout serves."""
    return name_checkout(Path.cwd())


def read_deployment(cron: str | None, every: int | None) -> dict[str, Any]:
    """The deployment of prefect.yaml under the name and the pool of this checkout, with its path as a tag.

    cron: a line, in UTC, that replaces the schedules of the file, paused or not; every: so do seconds between runs.
    FlowError if there is no such deployment in the file, or a schedule that never makes anything due.
    """
    if not DEPLOYMENTS.is_file():
        raise FlowError(f"{Path.cwd() / DEPLOYMENTS}: not there; it says what runs when: git checkout {DEPLOYMENTS}")
    try:
        read = YAML(typ="safe").load(DEPLOYMENTS.read_text(encoding="utf-8"))
        (found,) = [each for each in read["deployments"] if each["name"] == DEPLOYMENT]
        only = found.pop("schedule", None)  # Prefect's older form, of a single one
        asked = {
            **found,
            "name": _own_name(),
            "tags": [*(found.get("tags") or ()), f"checkout: {Path.cwd()}"],
            "work_pool": {**(found.get("work_pool") or {}), "name": pool_name()},
            "schedules": found.get("schedules") or ([only] if only else []),
            "paused": bool(found.get("paused")),
        }
        schedules = [dict(each) for each in asked["schedules"]]
    except (YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowError(
            f"{DEPLOYMENTS}: no deployment named {DEPLOYMENT} can be read from it ({' '.join(str(error).split())}); "
            f"restore it with: git checkout {DEPLOYMENTS}"
        ) from error
    if cron is None and every is None:
        for each in schedules:
            _require_due(f"{DEPLOYMENTS}: schedules", each, KINDS)
        return asked
    replaced = {"interval": every} if cron is None else {"cron": cron, "timezone": "UTC"}
    _require_due("--every" if cron is None else "--cron", replaced, CRON)
    return asked | {"schedules": [replaced], "paused": False}


def deploy(asked: dict[str, Any]) -> list[str]:
    """Put a deployment on the server of PREFECT_API_URL; returns a line for each other one of this folder there.

    What the server then holds is compared with what was asked for: FlowError that says both if they differ. FlowError
    with Prefect's last lines if it refuses.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    with open_client() as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=pool_name(), type="process"))
        with suppress(ObjectNotFound):
            before = client.read_deployment_by_name(deployment_name())
            # Prefect adds to schedules that have a slug, and lets an empty list change nothing.
            if not asked["schedules"] or any(each.slug for each in before.schedules):
                for each in before.schedules:
                    client.delete_deployment_schedule(before.id, each.id)
        _run_deploy(asked)
        _require_held(asked, client.read_deployment_by_name(deployment_name()))
        return _find_others(client, asked["tags"][-1])


def next_date(held: list[Any]) -> datetime | None:
    """The first date that the active ones of a deployment's schedules make due; None if there is none to come."""
    active = [_read_schedule(each.schedule.model_dump()) for each in held if each.active]
    return min((date for each in active for date in asyncio.run(each.get_dates(1))), default=None)


def _run_deploy(asked: dict[str, Any]) -> None:
    """Hand a deployment to `prefect deploy`."""
    read = YAML(typ="safe").load(DEPLOYMENTS.read_text(encoding="utf-8"))
    SERVED_DEPLOYMENTS.parent.mkdir(exist_ok=True)
    # JSON is YAML; a date in it is a text.
    SERVED_DEPLOYMENTS.write_text(json.dumps(read | {"deployments": [asked]}, indent=1, default=str), encoding="utf-8")
    command = [*PREFECT, "--no-prompt", "deploy", "--prefect-file", str(SERVED_DEPLOYMENTS), "--name", asked["name"]]
    quiet: Any = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": DEPLOY_SECONDS}
    try:
        done = subprocess.run(command, **quiet, check=False)
    except subprocess.TimeoutExpired as error:
        raise FlowError(f"prefect deploy: no answer within {DEPLOY_SECONDS} s; is the server overloaded?") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise FlowError(f"prefect deploy --name {asked['name']}: {' '.join(lines[-3:]) or 'no message'}")


def _require_held(asked: dict[str, Any], held: Any) -> None:
    """FlowError unless the server holds what was asked for; what Prefect fills in (`{{ ... }}`) is not compared."""
    limit = asked.get("concurrency_limit")
    options = limit if isinstance(limit, dict) else {"limit": limit}
    counted, collision = held.global_concurrency_limit, held.concurrency_options
    pairs = {
        "schedules": (
            sorted(_tell(each, _read_schedule(each)) for each in asked["schedules"] if "{{" not in str(each)),
            sorted(_tell(each.model_dump(), each.schedule) for each in held.schedules),
        ),
        "paused": (asked["paused"], held.paused),
        "entrypoint": (asked.get("entrypoint"), held.entrypoint),
        "parameters": (asked.get("parameters") or {}, held.parameters),
        "work pool": (asked["work_pool"]["name"], held.work_pool_name),
        "concurrency limit": (options.get("limit"), counted and counted.limit),
        "collision strategy": (options.get("collision_strategy"), collision and collision.collision_strategy.value),
    }
    faults = [
        f"{key}: asked for {wanted}, the server holds {found}"
        for key, (wanted, found) in pairs.items()
        if wanted != found and "{{" not in str(asked.get(key, wanted))
    ]
    if faults:
        raise FlowError(
            f"{deployment_name()} is not as asked for: {'; '.join(faults)}; take it off the server with `prefect "
            f"deployment delete {deployment_name()}` and start serve again"
        )


def _find_others(client: Any, tag: str) -> list[str]:
    """A line for each other deployment of this folder, which an earlier name of it, or another machine, has left."""
    from prefect.client.schemas.filters import DeploymentFilter

    found = client.read_deployments(deployment_filter=DeploymentFilter.model_validate({"tags": {"all_": [tag]}}))
    return [
        f"warning: {FLOW}/{each.name} on this server is of the same folder; unless another machine serves it: "
        f"prefect deployment delete {FLOW}/{each.name}"
        for each in found
        if each.name != _own_name() and not each.paused
    ]


def _read_schedule(config: dict[str, Any]) -> Any:
    """A schedule as prefect.yaml writes it; ValueError if Prefect cannot read it."""
    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    kinds: dict[str, Any] = {"cron": CronSchedule, "interval": IntervalSchedule, "rrule": RRuleSchedule}
    found = [name for name in kinds if config.get(name) is not None]
    if len(found) != 1:
        raise ValueError(f"{len(found)} of {', '.join(kinds)} are there, and it takes one")
    kind = kinds[found[0]]
    return kind(**{name: value for name, value in config.items() if name in kind.model_fields and value is not None})


def _require_due(key: str, config: dict[str, Any], allowed: str) -> None:
    """FlowError unless a schedule can be read, and makes a run due some day; what Prefect fills in is left to it."""
    if "{{" in str(config):
        return
    try:
        if not asyncio.run(_read_schedule(config).get_dates(1)):
            raise ValueError("none of its days is to come")
    except (ValueError, OverflowError, TypeError) as error:
        details: Any = error  # pydantic's tell each fault by itself
        why = details.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        got = " ".join(", ".join(f"{name}: {value}" for name, value in config.items()).split())
        raise FlowError(f"{key}: got {got} ({' '.join(why.split())}); allowed: {allowed}") from error


def _tell(config: dict[str, Any], schedule: Any) -> str:
    """A schedule in words, the same for one that is asked for and one that a server holds."""
    if hasattr(schedule, "rrule"):
        rule = " ".join(str(schedule.to_rrule()).split())  # with the start that Prefect gives it
    else:
        rule = schedule.cron if hasattr(schedule, "cron") else f"every {schedule.interval}"
    paused = ", paused" if config.get("active") is False else ""
    parameters = f", with {config['parameters']}" if config.get("parameters") else ""
    return f"{rule} ({schedule.timezone or 'UTC'}{paused}{parameters})"


def _own_name() -> str:
    return f"{DEPLOYMENT}-{pool_name()}"


def open_client() -> Any:
    """A client of the server of PREFECT_API_URL."""
    from prefect.client.orchestration import get_client  # takes seconds to import

    return get_client(sync_client=True)


NAME_FILE = Path("logs/checkout.json")  # git ignores it; a copy of the whole folder takes it along
MACHINE_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))  # stay when the hostname changes


def name_checkout(root: Path) -> str:
    """The folder's name with 8 random digits, made once and kept in NAME_FILE: a hostname does not enter.

    A copy gets another, here or on another machine, and so does a folder that was renamed: the file says for which
    path and machine it was written. Letters that Prefect takes in no name become `-`.
    """
    root = root.resolve()
    file = root / NAME_FILE
    machine = next((found.read_text(encoding="utf-8").strip() for found in MACHINE_FILES if found.is_file()), "")
    home = {"path": str(root), "machine": machine}
    with suppress(OSError, ValueError, KeyError, TypeError):  # none yet, or no such file of ours
        held = json.loads(file.read_text(encoding="utf-8"))
        if {key: held[key] for key in home} == home:
            return str(held["name"])
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', root.name)}-{secrets.token_hex(4)}"
    write_atomically(file, json.dumps({"name": name, **home}))
    return name
