"""A run on several machines: stages go to Dask workers in clones, data through DVC's remote, dvc.lock has one writer.

The Prefect task of a stage stays where the run was started, and waits there for a worker: Prefect's limits, edges and
logs are as on one machine, and workers need no Prefect server.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from dvc.repo import Repo

from flows import worker_stage
from flows.children import Children
from flows.dag import LOCK_FILE, open_repo, read_entry, restore_entry, tell
from flows.errors import FlowError
from flows.git import read_revision
from flows.outcome import Outcome, StageRun, read_seconds
from flows.project import STUDY
from flows.stage_run import Elsewhere
from flows.store import move_data

ADDRESS = "DASK_SCHEDULER_ADDRESS"  # Dask's own variable
CONNECT_SECONDS, WORKERS_SECONDS, POLL_SECONDS = 30, 60, 0.2
ASK_SECONDS = 2.0  # between questions to the scheduler
ALONE_SECONDS = 600.0  # without any worker, until a run gives up
START = "start one in a clone, as docs/several-machines.md says"


@dataclass(frozen=True)
class Route:
    """What one stage reads and makes of outs.

    pulls: read of those that DVC caches, by project, as paths from it.  pushes: made of these.
    reads, makes: the same of those that it does not cache, and no remote holds, as paths from the root.
    """

    pulls: dict[str, list[str]]
    pushes: list[str]
    reads: list[str]
    makes: list[str]


@contextmanager
def open_workers(study: bool) -> Iterator[Elsewhere | None]:
    """What runs a stage on a worker of the scheduler in DASK_SCHEDULER_ADDRESS; None if that is not set.

    study: the current folder is study/, in a project.
    FlowError, before anything has run, if the scheduler, its workers, their clones or this checkout are not fit.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise FlowError(f"{ADDRESS}: {address}, and Dask is not installed: pip install -e '.[machines]'") from error
    connect: Any = Client  # which has no types
    root, projects = (Path(".."), (".", str(STUDY))) if study else (Path(), (".",))
    routes, written = _read_routes(root, projects)
    checkout = worker_stage.Checkout(read_revision(root).commit, frozenset(written), projects)
    worker_stage.require_checkout(
        root, checkout, "workers have what is committed; commit it, and bring their clones there"
    )
    try:
        client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise FlowError(f"{ADDRESS}: no Dask scheduler answers at {address} ({tell(error)}); dask scheduler") from error
    with client:
        _require_workers(client, address, checkout)
        yield Workers(client, address, root, checkout, routes).run


class Workers:
    """The workers of one run, and what of its data the store is known to hold."""

    def __init__(
        self, client: Any, address: str, root: Path, checkout: worker_stage.Checkout, routes: dict[str, Route]
    ) -> None:
        self.client, self.address, self.root, self.checkout, self.routes = client, address, root, checkout, routes
        self.topic, self.stored, self.storing = f"stages-{uuid.uuid4().hex}", set[tuple[str, str]](), Lock()
        self.asking, self.asked, self.alone = Lock(), 0.0, 0.0
        self.took = read_seconds()
        self.listeners: dict[str, Callable[[str], None]] = {}
        client.subscribe_topic(self.topic, self._hear)

    def run(self, stage: str, force: bool, children: Children, on_line: Callable[[str], None]) -> StageRun:
        """Have a stage run by whichever worker is free, and take over its entry of dvc.lock and its outs.

        Another worker takes the stage if one dies. FlowError with one line if none can run it.
        """
        self.listeners[stage] = on_line
        order = self._write_order(stage, force, children, on_line)
        # The longest first: begun last, it would keep one worker busy while the others have nothing left to do.
        longest = self.took.get(stage, 0.0)
        future = self.client.submit(worker_stage.run_in_clone, order, pure=False, priority=longest)
        try:
            self._wait(future, children, on_line)
            error = future.exception()
            if future.cancelled() or error is not None:
                told = tell(error) if error is not None else f"the Dask scheduler at {self.address} has ended"
                return StageRun(stage, Outcome.FAILED, error=told)
            finished: worker_stage.Finished = future.result()
        finally:
            future.cancel()
        if finished.run.outcome is not Outcome.FAILED:
            self._take_over(stage, finished, children, on_line)
        return finished.run

    def _write_order(
        self, stage: str, force: bool, children: Children, on_line: Callable[[str], None]
    ) -> worker_stage.Order:
        route = self.routes[stage]
        with self.storing:
            for project, outs in route.pulls.items():
                if missing := [out for out in outs if (project, out) not in self.stored]:
                    move_data("push", missing, self.root / project, children, on_line)
                    self.stored.update((project, out) for out in missing)
        locks = {each: self.root / each / LOCK_FILE for each in self.checkout.projects}
        return worker_stage.Order(
            stage=stage,
            force=force,
            checkout=self.checkout,
            locks={each: path.read_text("utf-8") if path.is_file() else "" for each, path in locks.items()},
            pulls=route.pulls,
            files=worker_stage.read_files(self.root, route.reads),
            makes=route.makes,
            variables={name: os.environ[name] for name in worker_stage.VARIABLES if name in os.environ},
            topic=self.topic,
        )

    def _wait(self, future: Any, children: Children, on_line: Callable[[str], None]) -> None:
        """Return when a worker has ended the stage; FlowError if the run stops, or no worker is left for long."""
        told = False
        while not future.done():
            if children.stopped:
                raise FlowError("the run was stopped")
            alone = self._count_seconds_alone()
            if alone > ALONE_SECONDS:
                raise FlowError(f"no worker at {self.address} for {ALONE_SECONDS:g} s; {START}")
            if alone and not told:
                on_line(f"no worker is left; {START}")
            told = alone > 0
            time.sleep(POLL_SECONDS)

    def _count_seconds_alone(self) -> float:
        """For how long there has been no worker; the scheduler is asked now and then, for all stages that wait."""
        with self.asking:
            passed = time.monotonic() - self.asked
            if passed > ASK_SECONDS:
                self.alone = 0.0 if self._has_workers() else self.alone + min(passed, 2 * ASK_SECONDS)
                self.asked = time.monotonic()
            return self.alone

    def _take_over(
        self, stage: str, finished: worker_stage.Finished, children: Children, on_line: Callable[[str], None]
    ) -> None:
        """Put the entry into dvc.lock and the outs into place; as before if the store does not give them."""
        before = read_entry(stage)
        self._write_entry(stage, finished.entry)
        try:
            move_data("pull", [stage], Path(), children, on_line)
        except FlowError:
            self._write_entry(stage, before)
            raise
        worker_stage.write_files(self.root, finished.files or {})
        with self.storing:
            self.stored.update((self.checkout.projects[-1], out) for out in self.routes[stage].pushes)

    def _has_workers(self) -> bool:
        try:
            return bool(self.client.nthreads())
        except OSError:
            return True  # the scheduler is gone, which the future tells

    def _write_entry(self, stage: str, entry: str) -> None:
        with Repo(_wait_for_lock=True) as repo, repo.lock:
            restore_entry(stage, entry)

    def _hear(self, event: tuple[float, tuple[str, str]]) -> None:
        stage, line = event[1]
        if stage in self.listeners:
            self.listeners[stage](line)


def _require_workers(client: Any, address: str, checkout: worker_stage.Checkout) -> None:
    """FlowError unless there is a worker, and each stands in a clone of its own that can run stages."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        raise FlowError(f"no worker at {address} within {WORKERS_SECONDS} s; {START}") from error
    for worker, threads in client.nthreads().items():
        if threads != 1:
            raise FlowError(f"worker {worker}: {threads} threads, and a clone runs one stage at a time: --nthreads 1")
    from distributed.comm.core import CommClosedError

    places: list[str] = []
    for worker, place in client.run(worker_stage.look_at_clone, checkout, on_error="return").items():
        if isinstance(place, CommClosedError):
            continue  # it died while it was asked; whoever comes in its place is asked again at each stage
        if isinstance(place, BaseException):
            raise FlowError(tell(place) if isinstance(place, FlowError) else f"worker {worker}: {tell(place)}")
        if place in places:
            raise FlowError(f"two workers in {place}; each needs a clone of its own")
        places.append(place)


def _read_routes(root: Path, projects: tuple[str, ...]) -> tuple[dict[str, Route], set[str]]:
    """The route of each stage of the last project, and git's files that runs write, as paths from the root."""
    stages, outs = list[Any](), list[tuple[str, Any]]()
    for project in projects:
        with open_repo(root / project) as repo:
            stages = list(repo.index.stages)
            outs += [(project, out) for stage in stages for out in stage.outs]

    def relate(project: str, out: Any) -> str:
        return os.path.relpath(out.fs_path, root / project if out.use_cache else root)

    routes = {}
    for stage in stages:
        deps = [dep.fs_path for dep in stage.deps if dep.protocol == "local"]
        read = [(project, out) for project, out in outs if _touches(out.fs_path, deps)]
        route = routes[stage.addressing] = Route({}, [], [], [])
        for project, out in read:
            (route.pulls.setdefault(project, []) if out.use_cache else route.reads).append(relate(project, out))
        for out in stage.outs:
            (route.pushes if out.use_cache else route.makes).append(relate(projects[-1], out))
    written = {relate(project, out) for project, out in outs if not out.use_cache}
    return routes, written | {str(Path(project, LOCK_FILE)) for project in projects}


def _touches(out: str, deps: Iterable[str]) -> bool:
    """Whether one of the paths is the out, lies in it, or holds it."""
    out = out + os.sep  # as text, because there are many of both: pathlib takes seconds
    return any((dep := given + os.sep).startswith(out) or out.startswith(dep) for given in deps)
