"""A run on Dask workers in clones of one project, over this machine's loopback; the store is a folder."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client
from distributed.comm import CommClosedError

from flows import workers
from flows.children import Children
from flows.dag import read_changes
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.git import run_git
from flows.outcome import Outcome, StageRun, log_run
from flows.server import find_free_port
from flows.stage_run import run_stage
from flows.worker_stage import Checkout, Order
from flows.workers import Route, Workers, open_workers
from tests.flows.conftest import Bucket, Project, open_project, stage, wait_until

pytestmark = pytest.mark.slow

START = "start one in a clone, as docs/several-machines.md says"
SLOW = "echo half > slow; touch $RENDEZVOUS/begun; test -e $RENDEZVOUS/fast || sleep 300; cat raw > slow"
STAGES = ("prepare", "fast", "slow", "report")
IGNORED = (*(f".dvc/{name}" for name in ("cache", "config.local", "tmp")), "logs", ".*/", "!.dvc", *STAGES[1:], "raw")
OUTS = ("raw", "table", "fast", "slow", "report", "report.json", "dvc.lock")


def write_pipeline(project: Project, remote: str) -> None:
    """`prepare` feeds `fast` and `slow`, `report` needs both; DVC caches neither a table nor the metrics."""
    plain, metrics = {"table": {"cache": False}}, {"metrics": [{"report.json": {"cache": False}}]}
    project.write_stages(
        prepare=stage("echo 1 > table; cat source params.yaml > raw", "", "source", params=["a"])
        | {"outs": ["raw", plain]},
        fast=stage("(cat raw table; echo $OMP_NUM_THREADS) > fast", "fast", "raw table"),
        slow=stage(SLOW, "slow", "raw"),
        report=stage("cat fast slow table > report; echo '{}' > report.json", "report", "fast slow table", **metrics),
    )
    (project.path / "source").write_text("source\n")
    (project.path / "params.yaml").write_text("a: 1\n")
    (project.path / ".gitignore").write_text("\n".join(IGNORED))
    project.environment["OMP_NUM_THREADS"] = "3"
    project.dvc("remote", "add", "--default", "store", remote)
    run_git(project.path, "init", "--quiet")
    commit(project)


def commit(project: Project) -> None:
    run_git(project.path, "add", "--all")
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    run_git(project.path, *who, "commit", "--quiet", "--message", "x")


class Crew:
    """A Dask scheduler, and workers in clones of a project; all die with it."""

    def __init__(self, project: Project, place: Path) -> None:
        self.project, self.place = project, place
        port = find_free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.environment = {"DASK_SCHEDULER_ADDRESS": self.address, "RENDEZVOUS": str(place)}
        options = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        self.started = {"scheduler": self._start("scheduler", place, *options)}

    def _start(self, kind: str, folder: Path, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.place / f"{folder.name}-{kind}.log").open("ab") as log:
            command, told = [sys.executable, "-m", "dask", kind, *arguments], {"stdout": log, "stderr": log}
            full = self.project.environment | self.environment | environment
            return subprocess.Popen(command, cwd=folder, env=full, start_new_session=True, **told)

    def hire(self, name: str, *arguments: str, **environment: str) -> None:
        """Start a worker in a clone, which is made on the first call."""
        clone = self.place / name
        if not clone.exists():
            run_git(self.place, "clone", "--quiet", str(self.project.path), str(clone))
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.started[name] = self._start("worker", clone, self.address, *(arguments or options), **environment)

    def kill(self, name: str) -> None:
        process = self.started.pop(name)
        process.kill()
        process.wait()

    def who_has_begun(self) -> str:
        """The clone in which the slow stage is at work."""
        (number,) = (number for number, command in self.project.processes().items() if command == "sleep 300 ")
        return Path(f"/proc/{number}/cwd").readlink().name


@contextmanager
def open_crew(project: Project, place: Path) -> Iterator[Crew]:
    crew = Crew(project, place)
    try:
        yield crew
    finally:
        for name in list(crew.started):
            crew.kill(name)
        project.clear()


@pytest.fixture
def crew(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """The scheduler of a project whose store is a folder; this process stands where a run is started."""
    (tmp_path / "store").mkdir()
    write_pipeline(project, str(tmp_path / "store"))
    with open_crew(project, tmp_path) as crew:
        monkeypatch.chdir(project.path)
        monkeypatch.setattr(os, "environ", project.environment | crew.environment)
        prepare_environment()
        yield crew


def run(
    *stages: str, children: Children | None = None, lines: list[str] | None = None, study: bool = False
) -> list[StageRun]:
    """Run stages one after the other, as the flow does."""
    own, on_line = children or Children(), (lines if lines is not None else []).append
    with open_workers(study) as elsewhere:
        return [run_stage(each, force=False, children=own, on_line=on_line, elsewhere=elsewhere) for each in stages]


@pytest.fixture(scope="module")
def made(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the same pipeline leaves on one machine, with plain DVC."""
    with open_project(template, tmp_path_factory.mktemp("made"), None) as project:
        write_pipeline(project, str(project.path.parent))
        project.environment["RENDEZVOUS"] = str(project.path.parent)
        (project.path.parent / "fast").touch()
        project.dvc("repro", "-q")
        return read_results(project)


def read_results(project: Project) -> dict[str, bytes]:
    return {name: (project.path / name).read_bytes() for name in OUTS}


def test_two_workers_leave_the_bytes_of_one_machine_though_one_is_killed(
    served_project: Project, tmp_path: Path, made: dict[str, bytes]
) -> None:
    (tmp_path / "store").mkdir()
    write_pipeline(served_project, str(tmp_path / "store"))
    with open_crew(served_project, tmp_path) as crew:
        for name in ("one", "two"):
            crew.hire(name, OMP_NUM_THREADS="1")  # as Dask's nanny sets it
        with served_project.running("reproduce", **crew.environment) as process:
            wait_until((tmp_path / "begun").exists, 300, "begin of the slow stage")
            served_project.wait_for_file("fast", 300)  # beside it, by the other worker
            crew.kill(crew.who_has_begun())
            (tmp_path / "fast").touch()
            output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "4 stages: 4 done" in output
    assert {name for name in ("one", "two") if f":{tmp_path / name}\n" in output} == {"one", "two"}
    assert read_results(served_project) == made


def test_a_worker_killed_again_and_again_goes_on_in_its_clone(
    crew: Crew, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ASK_SECONDS", 0.2)  # a new worker may be there within two seconds
    crew.hire("one")
    lines: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, *STAGES, lines=lines)
        for _ in range(3):  # Dask gives up a stage at the fourth
            wait_until((crew.place / "begun").exists, 300, lambda: f"begin of the slow stage: {lines}")
            crew.kill("one")
            (crew.place / "begun").unlink()
            wait_until(lambda: "sleep 300" not in str(crew.project.processes()), 20, "end of what it ran")
            crew.hire("one")
        (crew.place / "fast").touch()
        runs = running.result(timeout=300)
    assert [(each.outcome, each.error) for each in runs] == [(Outcome.DONE, "")] * len(STAGES)
    assert f"no worker is left; {START}" in lines
    assert read_results(crew.project) == made


def test_a_run_that_is_stopped_ends_its_stage_on_the_worker(crew: Crew) -> None:
    crew.hire("one")
    children = Children()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, "prepare", "slow", children=children)
        wait_until((crew.place / "begun").exists, 300, "begin of the slow stage")
        lock = (crew.project.path / "dvc.lock").read_bytes()
        children.stop()
        assert running.result(timeout=60)[1].error == "the run was stopped"
    wait_until(lambda: "sleep 300" not in str(crew.project.processes()), 20, crew.project.processes)
    assert (crew.project.path / "dvc.lock").read_bytes() == lock


def test_a_scheduler_that_ends_is_told_and_ends_what_its_workers_run(crew: Crew) -> None:
    crew.hire("one")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, "prepare", "slow")
        wait_until((crew.place / "begun").exists, 300, "begin of the slow stage")
        crew.kill("scheduler")
        assert running.result(timeout=120)[1].error == f"the Dask scheduler at {crew.address} has ended"
    wait_until(lambda: "sleep 300" not in str(crew.project.processes()), 60, crew.project.processes)


def test_the_study_of_a_project_whose_results_lie_in_a_bucket(
    crew: Crew, template: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the study reads was made here, is in no store yet, and of a DVC project other than its own."""
    (crew.place / "fast").touch()
    crew.project.dvc("repro", "-q", "prepare")
    study = crew.project.path / "study"
    shutil.copytree(template, study)
    stages = {"use": stage("cat ../raw ../table > used; cat used > used.json", "used", "../raw ../table")}
    stages["use"]["metrics"] = [{"used.json": {"cache": False}}]
    (study / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (study / ".gitignore").write_text("used\n.dvc/cache\n.dvc/tmp\n")
    bucket.start()
    config = (crew.project.path / ".dvc/config").read_text()
    remote = f"s3://bucket/atlas\n    endpointurl = {bucket.url}"
    for folder in (crew.project.path, study):
        (folder / ".dvc/config").write_text(config.replace(str(crew.place / "store"), remote))
    commit(crew.project)
    os.environ.update(bucket.user)
    crew.hire("one", **bucket.user)
    monkeypatch.chdir(study)
    assert [(each.outcome, each.error) for each in run("use", study=True)] == [(Outcome.DONE, "")]
    assert Path("used").read_text() == Path("used.json").read_text() == "source\na: 1\n1\n"
    assert read_changes("use") == []


class NoWorkers:
    """A scheduler of which all workers are gone, as Dask's client shows it."""

    def __init__(self) -> None:
        self.asked, self.priorities = 0, dict[str, float]()

    def subscribe_topic(self, *_: object) -> None:
        pass

    def submit(self, _: object, order: Order, priority: float, **__: object) -> Future[None]:
        self.priorities[order.stage] = priority
        return Future()

    def nthreads(self) -> dict[str, int]:
        self.asked += 1
        return {}


def test_the_longest_stage_has_precedence_and_one_stage_asks_for_all_whether_there_are_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for outcome, seconds in ((Outcome.DONE, 4.5), (Outcome.DONE, 7.5), (Outcome.FAILED, 90.0), (Outcome.CACHED, 0.0)):
        log_run(StageRun("long", outcome, seconds), "a run")
    monkeypatch.setattr(workers, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(workers, "ALONE_SECONDS", 1.0)
    client, stages, told = NoWorkers(), ("long", "new", "another"), list[str]()
    routes = {name: Route({}, [], [], []) for name in stages}
    crew = Workers(client, "tcp://here", tmp_path, Checkout("commit", frozenset(), (".",)), routes)

    def wait(name: str) -> str:
        with pytest.raises(FlowError) as fault:
            crew.run(name, False, Children(), told.append)
        return str(fault.value)

    with ThreadPoolExecutor() as threads:
        assert {*threads.map(wait, stages)} == {f"no worker at tcp://here for 1 s; {START}"}
    assert client.priorities == {"long": 7.5, "new": 0.0, "another": 0.0}
    assert told == [f"no worker is left; {START}"] * 3
    assert client.asked <= 5


def test_what_is_not_as_the_run_needs_it_is_told_in_one_line(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> str:
        with pytest.raises(FlowError) as told, open_workers(study=False):
            pass
        return str(told.value).replace(str(crew.place), "HERE")

    project, clone, where = crew.project.path, crew.place / "one", f"worker in {socket.gethostname()}:HERE/one: "
    monkeypatch.setattr(workers, "WORKERS_SECONDS", 0.5)
    assert refused() == f"no worker at {crew.address} within 0.5 s; {START}"
    monkeypatch.setattr(workers, "WORKERS_SECONDS", 120)
    crew.hire("one", "--nthreads", "2", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    assert refused().endswith(": 2 threads, and a clone runs one stage at a time: --nthreads 1")
    crew.kill("one")
    crew.hire("one")
    (project / "params.yaml").write_text("a: 2\n")
    first = run_git(project, "rev-parse", "HEAD").strip()[:12]
    told = "workers have what is committed; commit it, and bring their clones there"
    assert refused() == f"params.yaml: not as in commit {first}; {told}"
    commit(crew.project)
    second = run_git(project, "rev-parse", "HEAD").strip()[:12]
    advice = f"there: git fetch && git checkout --force {second}"
    assert refused() == f"{where}at commit {first}, the run is of {second}; {advice}"
    run_git(clone, "fetch", "--quiet")
    run_git(clone, "checkout", "--quiet", "--force", second)
    (clone / "source").write_text("another\n")
    (clone / "stray.py").write_text("")
    assert refused() == f"{where}source and 1 more: not as in commit {second}; {advice}"
    run_git(clone, "checkout", "--force", second)
    (clone / "stray.py").unlink()
    (clone / ".dvc/config.local").write_text("[core]\n    remote =\n")
    assert refused().startswith(f"{where}HERE/one: no DVC remote is the default, and machines share data through it; ")
    (clone / ".dvc/config.local").unlink()
    with open_workers(study=False):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(Client, "run", lambda *_, **__: {"tcp://gone": CommClosedError("died while it was asked")})
        with open_workers(study=False):
            pass
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", f"tcp://127.0.0.1:{find_free_port()}")
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    assert refused().startswith(f"DASK_SCHEDULER_ADDRESS: no Dask scheduler answers at {os.environ[workers.ADDRESS]} (")
