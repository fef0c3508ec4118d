"""One stage on another machine: what a Dask worker, which was started in a clone of the project, does for a run."""

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failure_atlas.core.files import replacing
from flows.children import Children
from flows.dag import LOCK_FILE, read_entry
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.git import read_revision
from flows.outcome import Outcome, StageRun
from flows.project import hold_lock, write_atomically
from flows.stage_run import run_stage
from flows.store import move_data, require_store

# What changes a result by rounding is everywhere as where the run was started.
VARIABLES = (
    "FAILURE_ATLAS_PROCESSES", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Checkout:
    """What a clone must be: at this commit, with nothing changed but what runs write.

    written: paths from the root, of git's files that stages or DVC write.  projects: the DVC projects of the run, as
    folders from the root; the last is that of its stages.
    """

    commit: str
    written: frozenset[str]
    projects: tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """A stage to be run, and the state of the project that it is to find.

    locks: dvc.lock of each DVC project, empty if it has none.  pulls: the outs that the stage reads and the store
    holds, by DVC project, as paths from it.  files: what it reads of outs that DVC does not cache.  makes: what it
    makes of these, from the root.  topic: where its lines go.
    """

    stage: str
    force: bool
    checkout: Checkout
    locks: Mapping[str, str]
    pulls: Mapping[str, Sequence[str]]
    files: Mapping[str, bytes]
    makes: Sequence[str]
    variables: Mapping[str, str]
    topic: str


@dataclass(frozen=True)
class Finished:
    """How it ended, its entry of dvc.lock, byte by byte, and those of its outs that DVC does not cache."""

    run: StageRun
    entry: str = ""
    files: Mapping[str, bytes] | None = None


def run_in_clone(order: Order) -> Finished:
    """Bring one stage up to date in the clone that this worker was started in, and put its outs into the store.

    FlowError that names the clone if it is not as the run needs it, or the store is gone. Ends its processes if the
    run gives up the stage or ends, however that ends.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    children = Children()

    def on_line(line: str) -> None:
        worker.log_event(order.topic, [order.stage, line])

    with _open_clone(order.checkout), _heeding(worker, children):
        for name in VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(order.variables)
        on_line(f"at work in {_tell_place()}")
        for project, text in order.locks.items():
            if text:
                write_atomically(Path(project, LOCK_FILE), text)
            else:
                Path(project, LOCK_FILE).unlink(missing_ok=True)
        write_files(Path(), order.files)
        for project, outs in order.pulls.items():
            move_data("pull", outs, Path(project), children, on_line)
        own = Path(order.checkout.projects[-1])
        with chdir(own):
            run = run_stage(order.stage, force=order.force, children=children, on_line=on_line)
            entry = read_entry(order.stage)
        if run.outcome is Outcome.FAILED:
            return Finished(run)
        move_data("push", [order.stage], own, children, on_line)
        return Finished(run, entry, read_files(Path(), order.makes))


def read_files(root: Path, outs: Iterable[str]) -> dict[str, bytes]:
    """The files of outs, which may be folders, as far as they are there; outs and files as paths from the root."""
    found = [path for out in outs for path in (root / out, *(root / out).rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write what `read_files` read elsewhere."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(root / path) as half:
            half.write_bytes(content)


def look_at_clone(checkout: Checkout) -> str:
    """Where a worker stands, as `HOST:FOLDER`; FlowError if it could run no stage there."""
    with _open_clone(checkout):
        for project in checkout.projects:
            require_store(Path(project))
    return _tell_place()


def require_checkout(root: Path, checkout: Checkout, advice: str) -> None:
    """FlowError unless the folder is at the commit, and nothing in it differs but what runs write."""
    revision = read_revision(root)
    if revision.commit != checkout.commit:
        raise FlowError(f"at commit {revision.commit[:12]}, the run is of {checkout.commit[:12]}; {advice}")
    changed = [path for path in revision.changed if path not in checkout.written]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise FlowError(f"{changed[0]}{more}: not as in commit {revision.commit[:12]}; {advice}")


def _tell_place() -> str:
    return f"{socket.gethostname()}:{Path.cwd()}"


@contextmanager
def _open_clone(checkout: Checkout) -> Iterator[None]:
    prepare_environment()
    try:
        with hold_lock():
            require_checkout(Path(), checkout, f"there: git fetch && git checkout --force {checkout.commit[:12]}")
            yield
    except FlowError as error:
        raise FlowError(f"worker in {_tell_place()}: {error}") from error


@contextmanager
def _heeding(worker: Any, children: Children) -> Iterator[None]:
    """End the children when Dask has taken the task away from this worker, as when its client is gone."""
    key, over = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing" or worker.status.name.startswith("clos"):
                children.stop()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
