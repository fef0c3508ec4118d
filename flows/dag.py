"""The stages and their edges, which are written in dvc.yaml and nowhere else; and the entries of dvc.lock."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import networkx as nx
from dvc.dependency import param
from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.errors import FlowError
from flows.project import PARAMS, State, read_state, write_atomically

DAG_FILE = "dvc.yaml"
SOURCES = (Path(DAG_FILE), PARAMS)  # all that the stages and their edges depend on
LOCK_FILE, LOCK_HEAD = Path("dvc.lock"), "schema: '2.0'\nstages:\n"
_ENTRY = re.compile(r"^  (\S+):$", re.MULTILINE)  # as DVC writes it; what a stage holds is indented further
ALWAYS_CHANGED = "always changed"  # what DVC says of a stage that is declared to run every time


@dataclass(frozen=True)
class Dag:
    """What each stage needs, by the names that `dvc repro` takes (`train_classifiers@clean`).

    needs: stage -> the stages it directly depends on; in the order of dvc.yaml where the edges leave it open, so
    that going through it in its own order is a valid run.
    """

    needs: dict[str, frozenset[str]]

    @property
    def stages(self) -> list[str]:
        """All stages, each after what it needs."""
        return list(self.needs)

    @property
    def entries(self) -> set[str]:
        """What the repeated stages repeat over: the names after `@`."""
        return {stage.split("@", 1)[1] for stage in self.needs if "@" in stage}

    def upstream(self, stages: Iterable[str]) -> set[str]:
        """The given stages and all that they need, directly or not."""
        graph = nx.DiGraph({stage: list(needed) for stage, needed in self.needs.items()})
        return {found for stage in stages for found in (stage, *nx.descendants(graph, stage))}

    def select(self, targets: Iterable[str] | None) -> "Dag":
        """The part that makes the targets: they and all that they need; everything if there are none.

        A target is a stage, or the common name of a repeated one (`train_classifiers`).
        Raises FlowError that lists the known names.
        """
        wanted = list(targets or self.needs)
        chosen: set[str] = set()
        for target in wanted:
            found = [stage for stage in self.needs if target in (stage, stage.split("@", 1)[0])]
            if not found:
                raise FlowError(f"unknown target '{target}'; stages of dvc.yaml: {', '.join(self.needs)}")
            chosen.update(found)
        kept = self.upstream(chosen)
        return Dag({stage: needed for stage, needed in self.needs.items() if stage in kept})


@contextmanager
def open_repo(project: Path | None = None) -> Iterator[Repo]:
    """The DVC project in a folder, by default the current one; FlowError if DVC cannot read it."""
    try:
        with Repo(None if project is None else str(project), _wait_for_lock=True) as repo:
            yield repo
    except DvcException as error:
        raise FlowError(f"DVC cannot read this project: {tell(error)}") from error


def read_dag() -> Dag:
    """Read the DAG of the project in the current folder; FlowError if DVC cannot read it.

    What was read last is kept while dvc.yaml and the params, over which its stages repeat, stay as they are.
    """
    return _recall(read_state(*SOURCES))


@lru_cache(maxsize=1)
def _recall(_state: State) -> Dag:
    with open_repo() as repo:
        return _sort(repo)


def _sort(repo: Repo) -> Dag:
    places = {stage: n for n, stage in enumerate(repo.index.stages) if stage.path_in_repo == DAG_FILE}
    if not places:
        raise FlowError("dvc.yaml holds no stage; add one under `stages:`")
    graph = repo.index.graph.subgraph(places)  # its edges point from a stage to what it depends on
    order = nx.lexicographical_topological_sort(graph.reverse(), key=places.get)
    return Dag({stage.addressing: frozenset(other.addressing for other in graph[stage]) for stage in order})


def read_changes(stage: str) -> list[str]:
    """What differs between one stage, dvc.lock and the cache, as DVC sees it; empty if there is nothing to do.

    Opens a Repo of its own, so that threads may call it.
    """
    with Repo(_wait_for_lock=True) as repo:
        return [line for lines in _read_status(repo, stage).values() for line in lines]


def read_all_changes() -> tuple[Dag, dict[str, list[str]]]:
    """The DAG, and the same of every stage of it, those without a change left out: six times as fast as one by one.

    FlowError if DVC cannot read the project.
    """
    load, held = param.load_path, dict[str, Any]()

    def load_once(path: str, *arguments: Any, **options: Any) -> Any:
        return held[path] if path in held else held.setdefault(path, load(path, *arguments, **options))

    param.load_path = load_once  # DVC parses params.yaml for each stage, which is two fifths of its status
    try:
        with open_repo() as repo:
            return _sort(repo), _read_status(repo, DAG_FILE)
    finally:
        param.load_path = load


def tell(error: BaseException) -> str:
    """An exception and its causes as one line."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split())
        if text and text not in " ".join(parts):
            parts.append(text)
        cause = cause.__cause__
    return ": ".join(parts) or type(error).__name__


def _read_status(repo: Repo, target: str) -> dict[str, list[str]]:
    status: dict[str, list[Any]] = repo.status([target])
    return {name: [line for entry in entries for line in _tell_change(entry)] for name, entries in status.items()}


def _tell_change(entry: Any) -> list[str]:
    """One entry of DVC's status: a word, or kind -> (path -> what), possibly nested once more for params."""

    def compact(what: Any) -> str:
        held = what.items() if isinstance(what, dict) else ()
        return ", ".join(f"{key} ({compact(inner)})" for key, inner in held) or str(what)

    return [f"{kind}: {compact(what)}" for kind, what in entry.items()] if isinstance(entry, dict) else [str(entry)]


def read_order() -> list[str]:
    """The stages that dvc.lock has entries of, in its order; none if there is no such file."""
    return list(_split()[1])


def restore_order(before: Sequence[str], stages: Sequence[str]) -> None:
    """Put what a run has added to dvc.lock into the order of the DAG, as one stage after the other would have.

    before: `read_order` before the run; those entries stay where they are.  stages: of the DAG, in its order.
    Entries are moved as they are, byte by byte.
    """
    places = {stage: place for place, stage in enumerate(dict.fromkeys([*before, *stages]))}

    def find_place(stage: str) -> int:
        return places.get(stage, len(places))

    found = read_order()
    if found == sorted(found, key=find_place):
        return
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        head, parts = _split()
        write_atomically(LOCK_FILE, head + "".join(parts[name] for name in sorted(parts, key=find_place)))


def read_entry(stage: str) -> str:
    """The lines of one stage; empty if there are none."""
    return _split()[1].get(stage, "")


def restore_entry(stage: str, entry: str) -> None:
    """Put in the lines of one stage as DVC wrote them, none if `entry` is empty; the caller holds DVC's lock."""
    head, parts = _split()
    head = head or LOCK_HEAD
    before, parts[stage] = parts.get(stage, ""), entry
    if before == entry:
        return
    if any(parts.values()):
        write_atomically(LOCK_FILE, head + "".join(parts.values()))
    else:
        LOCK_FILE.unlink(missing_ok=True)  # it was made by this run


def _split() -> tuple[str, dict[str, str]]:
    """What stands above the entries, and each as it is, byte by byte."""
    text = LOCK_FILE.read_text(encoding="utf-8") if LOCK_FILE.is_file() else ""
    head, *parts = re.split(r"(?m)^(?=  \S+:$)", text)
    return head, {_ENTRY.findall(part)[0]: part for part in parts}
