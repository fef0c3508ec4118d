"""Scheduled runs, with a real server, a real worker and the schedule that `failure-atlas serve` makes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from ruamel.yaml import YAML

from flows import serve_deployment
from flows.errors import FlowError
from flows.project import hold_lock
from flows.serve_deployment import DEPLOYMENT, NAME_FILE, name_checkout, next_date, read_deployment
from flows.server import find_free_port
from tests.flows.conftest import ROOT, SERVER_SECONDS, SLOW, Ask, Project, open_project, wait_until

EAGER = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
LATE = ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]


@pytest.fixture
def scheduled(served_project: Project, ask: Ask) -> Iterator[Project]:
    """A project with this project's own prefect.yaml; its deployment is taken off the server at the end."""
    write_deployment(served_project)
    served_project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    yield served_project
    delete_deployment(ask, name_of(served_project))


def find_deployment(ask: Ask, name: str) -> dict[str, Any]:
    (found,) = ask("deployments/filter", {"deployments": {"name": {"any_": [name]}}})
    return dict(found)


def delete_deployment(ask: Ask, name: str) -> None:
    ask(f"deployments/{find_deployment(ask, name)['id']}", {}, "DELETE")


def name_of(project: Project) -> str:
    """What the deployment of a project is called."""
    return f"{DEPLOYMENT}-{name_checkout(project.path)}"


def deploy(project: Project, cron: str | None = None, every: int | None = None) -> str:
    """Deploy as `serve` does; cron, every: what it was given.  Returns what is said."""
    url = project.environment["PREFECT_API_URL"]
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: url}):
        patch.chdir(project.path)
        patch.setenv("PREFECT_API_URL", url)  # of what is started
        try:
            return "\n".join(serve_deployment.deploy(read_deployment(cron, every)))
        except FlowError as error:
            return str(error)


def list_schedules(ask: Ask, project: Project) -> list[tuple[str, str, bool]]:
    """What the server holds: rule, time zone, whether it is active."""
    found = [(each["schedule"], each["active"]) for each in find_deployment(ask, name_of(project))["schedules"]]
    return sorted((str(rule.get("cron") or rule.get("rrule") or rule["interval"]), rule["timezone"] or "UTC", active)
                  for rule, active in found)  # fmt: skip


def write_deployment(project: Project, **more: Any) -> None:
    """This project's own prefect.yaml, changed, and without bundles: the toy is no git repository."""
    read = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())
    assert read["deployments"][0]["parameters"]["evidence"]
    read["deployments"][0]["parameters"]["evidence"] = False
    read["deployments"][0] |= more
    (project.path / "prefect.yaml").write_text(json.dumps(read))


def find_runs(ask: Ask, project: Project) -> list[dict[str, Any]]:
    body = {"deployments": {"name": {"any_": [name_of(project)]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return list(ask("flow_runs/filter", body))


def end(process: "subprocess.Popen[str]") -> str:
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=SERVER_SECONDS)
    assert process.returncode == 143, output
    return output


def _appeared_by_itself(run: dict[str, Any]) -> bool:
    return run["state_name"] == "NotAssessable" and "auto-scheduled" in run["tags"]


@contextmanager
def holding_lock(project: Project) -> Iterator[None]:
    """Hold the run lock of a project in which runs come and go, as soon as none of them has it."""
    with ExitStack() as stack:

        def take() -> bool:
            with suppress(FlowError):
                stack.enter_context(hold_lock(project.path / "logs/flow.lock"))
                return True
            return False

        wait_until(take, 60, "no run for a moment")
        yield


@pytest.mark.slow
def test_checkouts_on_one_server_keep_apart(
    scheduled: Project, template: Path, tmp_path: Path, server: str, ask: Ask
) -> None:
    with open_project(template, tmp_path / "other", server) as other:
        write_deployment(other)
        deploy(scheduled, "0 3 * * *")
        deploy(other, "0 4 * * *")
        assert other.path.name == scheduled.path.name, "told apart by more than the folder's name"
        found = {each.path: find_deployment(ask, name_of(each)) for each in (scheduled, other)}
        delete_deployment(ask, name_of(other))
    assert [each["schedules"][0]["schedule"]["cron"] for each in found.values()] == ["0 3 * * *", "0 4 * * *"]
    assert len({each["work_pool_name"] for each in found.values()}) == 2, "no worker takes the other's runs"
    for path, each in found.items():
        assert each["tags"] == [f"checkout: {path}"]
        (step,) = each["pull_steps"]
        assert step["prefect.deployments.steps.set_working_directory"]["directory"] == str(path)
        assert each["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


@pytest.mark.slow
def test_server_holds_what_was_asked_for_last(scheduled: Project, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was there before: schedules with slugs, paused ones, another name of the folder."""
    project = scheduled
    berlin = {"cron": "0 5 * * *", "timezone": "Europe/Berlin", "slug": "early"}
    yearly = {"rrule": "FREQ=YEARLY;BYMONTH=3", "active": False, "slug": "yearly"}
    write_deployment(project, schedules=[berlin, yearly])
    assert deploy(project) == ""
    both = [("0 5 * * *", "Europe/Berlin", True), ("DTSTART:20200101T000000\nFREQ=YEARLY;BYMONTH=3", "UTC", False)]
    assert list_schedules(ask, project) == both
    write_deployment(project, schedules=[], paused=True)
    assert deploy(project) == ""
    assert (list_schedules(ask, project), find_deployment(ask, name_of(project))["paused"]) == ([], True)
    assert deploy(project, None, 7200) == ""
    assert list_schedules(ask, project) == [("7200.0", "UTC", True)]
    assert not find_deployment(ask, name_of(project))["paused"], "what is asked for by hand is to run"

    # Where the server does not take over what was asked for, nobody is to believe that it did.
    with monkeypatch.context() as patch:
        patch.setattr(serve_deployment, "_run_deploy", lambda _: None)
        told = deploy(project, "1 2 * * *")
    assert "schedules: asked for ['1 2 * * * (UTC)'], the server holds ['every 2:00:00 (UTC)']" in told

    # An earlier name of the folder is told, with the way to be rid of it.
    before = name_of(project)
    (project.path / NAME_FILE).unlink()
    assert f"prefect deployment delete reevaluate/{before}" in deploy(project)
    delete_deployment(ask, before)


@pytest.mark.slow
def test_scheduled_runs_appear_collapse_skip_and_can_be_cancelled(scheduled: Project, ask: Ask) -> None:
    """One service through its day: two runs that were missed, one beside a manual run, one cancelled."""
    project = scheduled
    (project.path / "fast").touch()
    deploy(project, "0 3 1 1 *")
    found = find_deployment(ask, name_of(project))
    for due in LATE:
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        ask(f"deployments/{found['id']}/create_flow_run", {"state": state})

    def runs(is_meant: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        return [run for run in find_runs(ask, project) if is_meant(run)]

    def is_late(run: dict[str, Any]) -> bool:
        return run["expected_start_time"][:10] in {due[:10] for due in LATE}

    def wait_for(is_meant: Callable[[dict[str, Any]], bool], count: int = 1) -> list[dict[str, Any]]:
        """The runs of a kind, as soon as there are so many."""
        wait_until(lambda: len(runs(is_meant)) >= count, 180, lambda: find_runs(ask, project), every=0.5)
        return runs(is_meant)

    with project.running("serve", "--every", "3", **EAGER) as service:
        # Of those that were missed, at most one runs; a scheduled one appears after it by itself.
        late = wait_for(lambda run: is_late(run) and run["state_type"] in ("COMPLETED", "CANCELLED"), len(LATE))
        assert len(late) == len(LATE)
        assert sum(run["state_type"] == "COMPLETED" for run in late) <= 1
        wait_until(lambda: bool(project.history()), 60, "a line in the history")
        assert project.history()[0]["message"] == "no data/acceptance/gates.json"

        # While another process holds the lock, what falls due is skipped, and says why.
        with holding_lock(project):
            skipped = wait_for(lambda run: run["state_name"] == "Skipped" and _is_by_lock(run))[0]
            for name in ("fast", "begun", "out"):
                (project.path / name).unlink()
            project.write_stages(a={"cmd": f"true; {SLOW}", "outs": ["out"]})
        assert skipped["state_type"] == "CANCELLED"

        # Cancelled as the button of Prefect's page does it: nothing of the stage is left, and the service goes on.
        project.wait_for_file("begun", 60)
        running = wait_for(lambda run: run["state_type"] == "RUNNING")[0]
        ask(f"flow_runs/{running['id']}/set_state", {"state": {"type": "CANCELLING"}})
        wait_until(lambda: "sleep 300" not in project.processes().values(), 60, lambda: project.processes())
        wait_for(lambda run: run["id"] == running["id"] and run["state_type"] == "CANCELLED")
        (project.path / "fast").touch()
        # The next one is made by the server's scheduler and not by hand, and ends well.
        known = {run["id"] for run in find_runs(ask, project) if _appeared_by_itself(run)}
        wait_for(lambda run: _appeared_by_itself(run) and run["id"] not in known)
        assert (project.path / "out").read_text() == "result\n"
        output = end(service)
    assert f"to start a run now: prefect deployment run reevaluate/{name_of(project)}\n" in output
    assert "next run: " in output
    assert "Traceback" not in output
    project.wait_for_silence()


def _is_by_lock(run: dict[str, Any]) -> bool:
    return f"another run is at work in this project (pid {os.getpid()}, since " in run["state"]["message"]


@pytest.mark.slow
def test_service_that_was_killed_leaves_nothing_and_mends_itself(project_with_database: Project) -> None:
    """A power cut in the middle of a run: server, worker, flow and stage are gone; the next service goes on."""
    project = project_with_database
    write_deployment(project)
    project.write_stages(a={"cmd": SLOW, "outs": ["out"]})
    port = str(find_free_port())
    with project.running("serve", "--every", "5", "--port", port, **EAGER) as service:
        project.wait_for_file("begun", 120)
        code, output = project.run("serve", "--port", port)
        assert (code, output.count("\n")) == (1, 1)
        assert output.startswith(f"error: failure-atlas serve is at work in this project (pid {service.pid}, since ")
        assert output.endswith("); end it first\n")
        service.kill()
        project.wait_for_silence()
    (project.path / "fast").touch()
    with project.running("serve", "--every", "5", "--port", port, **EAGER) as service:
        wait_until(lambda: bool(project.history()), 120, lambda: project.processes())
        output = end(service)
    assert "was cut short: the machine or the service stopped while it ran" in output
    assert (project.path / "out").read_text() == "result\n"
    project.wait_for_silence()


def test_mistakes_are_told_before_anything_starts(project: Project) -> None:
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    absent = f"error: {project.path}/prefect.yaml: not there; it says what runs when: git checkout prefect.yaml\n"
    assert project.run("serve") == (1, absent)
    shutil.copy(ROOT / "prefect.yaml", project.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        for cron in ("every night", "", "0 0 30 2 *"):
            told = re.escape(f"--cron: got cron: {cron}, timezone: UTC (") + r".*\); allowed: minute hour day month .*"
            with pytest.raises(FlowError, match=f"^{told}$"):
                read_deployment(cron, None)
    code, output = project.run("serve", "--cron", "0 3 * * *", "--every", "5")
    assert (code, output) == (1, "error: --cron and --every: both given; allowed: one of them\n")
    assert not (project.path / "logs/serve-server.log").exists()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("deployments: [", "while parsing a flow node"),
        ("deployments:\n  - name: other\n", "not enough values"),
        ("deployments: [{name: scheduled, schedules: 3}]", "'int' object is not iterable"),
    ],
)
def test_prefect_yaml_without_the_deployment(folder: Path, text: str, reason: str) -> None:
    (folder / "prefect.yaml").write_text(text)
    with pytest.raises(FlowError, match=f"no deployment named scheduled can be read from it .{reason}.*git checkout"):
        read_deployment(None, None)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"cron": "0 0 30 2 *"}, "cron: 0 0 30 2 * (failed to find next date)"),
        ({"cron": "0 3 * * *", "timezone": "Mars"}, 'timezone: Mars (Value error, Invalid timezone: "Mars"'),
        ({"interval": 0}, "interval: 0 (Value error, interval must be positive)"),
        ({"cron": "0 3 * * *", "interval": 9}, "cron: 0 3 * * *, interval: 9 (2 of cron, interval, rrule are there"),
        ({"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;COUNT=3"}, "COUNT=3 (none of its days is to come)"),
    ],
)  # fmt: skip
def test_schedule_that_makes_nothing_due(folder: Path, schedule: dict[str, Any], reason: str) -> None:
    for held in ({"schedules": [schedule]}, {"schedule": schedule}):
        (folder / "prefect.yaml").write_text(json.dumps({"deployments": [{"name": "scheduled", **held}]}))
        with pytest.raises(FlowError, match=r"^prefect\.yaml: schedules: got .*; allowed: cron, interval or ") as told:
            read_deployment(None, None)
        assert reason in str(told.value)
    assert read_deployment("0 1 * * *", None)["schedules"] == [{"cron": "0 1 * * *", "timezone": "UTC"}], "replaced"


@pytest.mark.parametrize(
    ("schedules", "month_and_hour"),
    [
        ([CronSchedule(cron="0 15 1 1 *", timezone="UTC")], (1, 15)),
        (
            [CronSchedule(cron="0 15 1 7 *"), RRuleSchedule(rrule="FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=1;BYHOUR=15")],
            (7, 15),
        ),
        ([], None),
    ],
)
def test_next_run_is_told_before_the_server_has_made_it(schedules: list[Any], month_and_hour: Any) -> None:
    off = DeploymentSchedule(schedule=IntervalSchedule(interval=timedelta(minutes=1)), active=False)
    due = next_date([off, *(DeploymentSchedule(schedule=each, active=True) for each in schedules)])
    assert (due and (due.month, due.hour)) == month_and_hour


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that names this machine."""
    machine = tmp_path / "machine-id"
    machine.write_text("here\n")
    monkeypatch.setattr("flows.serve_deployment.MACHINE_FILES", (machine,))
    return machine


def test_checkouts_have_names_of_their_own(tmp_path: Path, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(source: Path, target: str, **options: Any) -> Path:
        return Path(shutil.copytree(source, tmp_path / target, **options))

    one = tmp_path / "a/my atlas"
    name = name_checkout(one)
    assert re.fullmatch(r"my-atlas-[0-9a-f]{8}", name)
    monkeypatch.setattr("platform.node", lambda: "other")
    monkeypatch.setattr("socket.gethostname", lambda: "other")
    assert name_checkout(one) == name, "the same at each start, under whatever hostname"
    copies = [copy(one, "b"), copy(one, "c"), copy(one, "d", copy_function=os.link)]
    assert len({name, *map(name_checkout, copies)}) == 4
    assert name_checkout(one) == name, "a linked copy has not changed it"
    orphans = [copy(one, "e"), copy(one, "f")]
    shutil.rmtree(one)
    assert len({name, *map(name_checkout, orphans)}) == 3, "of copies whose original is gone none takes its name"
    restored = copy(orphans[0], "g")
    held = name_checkout(orphans[0])
    shutil.rmtree(orphans[0])
    assert name_checkout(restored) != held
    assert name_checkout(copy(orphans[1], "e")) != held, "another's file at the same path"
    machine.write_text("there\n")
    assert name_checkout(restored) != name_checkout(copy(restored, "h"))


def test_backup_at_the_same_path_keeps_the_name_on_its_own_machine(tmp_path: Path, machine: Path) -> None:
    one = tmp_path / "one"
    name = name_checkout(one)
    for place, keeps in (("here", True), ("there", False)):  # there: the disk of another machine, copied
        shutil.copytree(one, tmp_path / "backup")
        shutil.rmtree(one)
        (tmp_path / "backup").rename(one)
        machine.write_text(f"{place}\n")
        assert (name_checkout(one) == name) is keeps


def test_unreachable_server_names_the_way_out(project: Project) -> None:
    shutil.copy(ROOT / "prefect.yaml", project.path)
    project.write_stages(a={"cmd": "echo > out", "outs": ["out"]})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/api"
        for command in (["serve"], ["reevaluate", "--no-evidence"], ["reproduce"]):
            code, output = project.run(*command, PREFECT_API_URL=url)
            assert (code, len(output.splitlines())) == (1, 1)
            assert output.startswith(f"error: PREFECT_API_URL: nothing answers at {url} (")
            assert output.endswith("unset the variable to use a temporary one, or run without Prefect: dvc repro\n")
    assert "Running stage 'a'" in project.dvc("repro"), "the way out works"


def test_prefect_yaml_names_what_is_there() -> None:
    from flows.reevaluate import reevaluate

    deployment = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"][0]
    assert deployment["name"] == DEPLOYMENT
    assert deployment["entrypoint"] == f"{reevaluate.fn.__module__}.{reevaluate.fn.__name__}"
    assert set(deployment["parameters"]) == set(reevaluate.parameters.properties)
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
