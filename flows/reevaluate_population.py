"""A new classifier against the old one on the same population: what must not change meanwhile, and whether it did.

A figure measured on another sample, or on images of another generator, differs for two reasons at once. Paired on one
population, a difference is the classifier's alone.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from flows.dag import ALWAYS_CHANGED, DAG_FILE, Dag, open_repo
from flows.errors import FlowError
from flows.evidence.pipeline import read_lock

GENERATOR = "train_stylegan2"
POPULATION = "sample_populations"
KEPT = (GENERATOR, POPULATION)
WHY = "its figures would then differ by the sample too, not by the classifier alone"


def require_frozen(dag: Dag) -> dict[str, str]:
    """Check that nothing would make the generator or the population anew; returns the hash of each of their outputs.

    The population's stage also shows how a classifier does on it, so it may run again because a classifier has
    changed; `find_thawed` then tells whether the population has stayed.
    Raises FlowError that names the stage and what has changed, before anything is run.
    """
    missing = [stage for stage in KEPT if stage not in dag.needs]
    if missing:
        raise FlowError(f"--frozen-population: dvc.yaml has no stage {missing[0]}; stages: {', '.join(dag.needs)}")
    generator_needs = dag.upstream([GENERATOR])
    with open_repo() as repo:
        makers = {str(Path(out.fs_path)): stage.addressing for stage in repo.index.stages for out in stage.outs}
        for stage in dag.stages:
            if stage in generator_needs or stage == POPULATION:
                changes = _find_changes(repo.status([stage]), generator_needs, makers)
                if changes:
                    raise FlowError(
                        f"--frozen-population: {stage} has to run again ({'; '.join(changes)}), and would make the "
                        f"population anew: {WHY}; put that back, or run without --frozen-population"
                    )
    hashes = read_hashes()
    unknown = [path for path, held in hashes.items() if not held]
    if unknown:
        raise FlowError(
            f"--frozen-population: dvc.lock holds no {unknown[0]}; there is no population yet: failure-atlas reproduce"
        )
    return hashes


def read_hashes(folder: Path | None = None) -> dict[str, str]:
    """Hash of each output of the generator and the population, by path; empty if dvc.lock has none.

    Plots and metrics are none of them: those of the population also show how a classifier does on it.
    folder: a bundle that holds a dvc.lock; by default the project in the current folder.
    """
    if folder is not None:
        with suppress(OSError, ValueError):
            stages = read_lock((folder / "dvc.lock").read_bytes())
            return {out: md5 for stage in KEPT if stage in stages for out, md5 in stages[stage].outs.items()}
        return {}
    with Repo() as repo:
        return {
            str(out.def_path): str(out.hash_info.value or "")
            for stage in repo.index.stages
            if stage.path_in_repo == DAG_FILE and stage.addressing in KEPT
            for out in stage.outs
            if not (out.plot or out.metric)
        }


def find_thawed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs between the outputs before and after, one line each; empty if all stayed."""
    return [
        f"{path} (was {before.get(path) or 'not there'}, now {after.get(path) or 'not there'})"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _find_changes(status: dict[str, list[Any]], kept: set[str], makers: dict[str, str]) -> list[str]:
    """What makes a stage run again, save changed outputs of stages that are not kept (a classifier)."""
    changes: list[str] = []
    for entry in (entry for entries in status.values() for entry in entries):
        if not isinstance(entry, dict):
            changes += [str(entry)] if entry != ALWAYS_CHANGED else []
            continue
        for kind, what in entry.items():
            paths = what.items() if isinstance(what, dict) else [(str(what), "")]
            for path, how in paths:
                found = _find_makers(Path(path).absolute(), makers)
                if kind != "changed deps" or not found or found & kept:
                    told = ", ".join(how) if isinstance(how, dict) else how
                    changes.append(f"{kind}: {path} ({told})" if told else f"{kind}: {path}")
    return changes


def _find_makers(path: Path, makers: dict[str, str]) -> set[str]:
    """The stages that write a path, a part of it, or what it is a part of."""
    return {stage for out, stage in makers.items() if Path(out).is_relative_to(path) or path.is_relative_to(out)}
