"""The reproduction check: the recorded commit, cloned and run afresh, against what the bundle says."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.children import Children
from flows.errors import FlowError
from flows.evidence.inventory import FileHash, Inventory, hash_path, select_below, tell_difference
from flows.evidence.machine import compare_machines, compare_runs, describe_machine, describe_runs, environment_for
from flows.evidence.pipeline import PARAMS, WORKFLOW, PlannedStage, list_metrics, read_pipeline
from flows.evidence.reading import Problem, Verdict
from flows.evidence.spread import Tolerances, tell_largest
from flows.evidence.verification import ENVIRONMENT, INVENTORY
from flows.git import clone_commit

SHOWN_DIFFERENCES = 3


def rerun(bundle: Path, repository: Path, on_line: Callable[[str], None], verdict: Verdict) -> None:
    """Clone the commit of a bundle that has been verified, run its DAG afresh, and compare; notes it in the verdict.

    The run is `failure-atlas reproduce --force` of the clone's own code, with the threads, kernels and variables that
    the bundle records. On a machine of the same kind every output must have the same bytes; on another kind the metrics
    must agree as `flows.evidence.spread` says. It is another kind only where the bundle states something else than what
    is measured here, of this machine and in the stages of the fresh run.
    repository: the project, or its clone, whose git has the commit; inputs that git does not hold come from there.
    Raises FlowError if the commit is not there or the run fails.
    """
    inventory = Inventory.from_json(json.loads((bundle / INVENTORY).read_bytes()))
    recorded = json.loads((bundle / ENVIRONMENT).read_bytes())
    folder = Path(tempfile.mkdtemp(prefix="failure-atlas-rerun-")).resolve()
    try:
        here = describe_machine()
        clone = clone_commit(repository, folder / "project", recorded["git"]["commit"])
        environment, cores = environment_for(recorded, here, os.environ)
        brought = _bring_inputs(inventory, repository, clone)
        unequal = _compare_inputs(bundle, clone, inventory)
        outside = f", {brought} of them not in git and taken from {repository}" if brought else ""
        if not verdict.note("commit", unequal, f"{len(inventory.inputs)} inputs are those of the commit{outside}"):
            return
        _remove_outs(inventory, clone)
        _run(clone, environment, cores, on_line)
        plan = read_pipeline((clone / WORKFLOW).read_bytes(), (clone / PARAMS).read_bytes())
        ran = describe_runs({name: stage.command for name, stage in plan.items()}, clone)
        differences = compare_machines(recorded, here) + compare_runs(recorded["computing"], ran)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        verdict.note("rerun", [Problem(ENVIRONMENT, f"not what a bundle of this kind holds ({error!r:.200})")], "")
    else:
        _compare(bundle, clone, inventory, plan, differences, verdict)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bring_inputs(inventory: Inventory, repository: Path, clone: Path) -> int:
    """Copy inputs that git does not hold, as own images, if they are those of the bundle; returns how many."""
    count = 0
    for path in inventory.inputs:
        target = clone / path
        if os.path.lexists(target) or hash_path(repository, path).get(path) != inventory.files[path]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent.resolve().is_relative_to(clone.resolve()):
            shutil.copy2(repository / path, target)
            count += 1
    return count


def _compare_inputs(bundle: Path, clone: Path, inventory: Inventory) -> Iterator[Problem]:
    """The inputs that the commit holds otherwise than the bundle says."""
    for path in inventory.inputs:
        found = hash_path(clone, path).get(path, FileHash("", "", 0))
        if found != inventory.files[path]:
            yield Problem(path, tell_difference(inventory.files[path], found, "the bundle says", "the commit holds"))
    if (clone / WORKFLOW).read_bytes() != (bundle / WORKFLOW).read_bytes():
        yield Problem(WORKFLOW, "another one in the commit than in the bundle")


def _remove_outs(inventory: Inventory, clone: Path) -> None:
    """Nothing that git holds may pass for made: a stage that keeps its outs, or is frozen, would leave it as it is."""
    for path in inventory.outs:
        target = clone / path
        if target.parent.resolve().is_relative_to(clone.resolve()) and (target.is_file() or target.is_symlink()):
            target.unlink()


def _run(clone: Path, environment: Mapping[str, str], cores: int, on_line: Callable[[str], None]) -> None:
    """Run all of dvc.yaml there as the run itself did, even what DVC would skip because git holds its outputs."""
    command = [sys.executable, "-m", "flows.cli", "reproduce", "--force"]
    children = Children()
    try:
        with _using(cores):
            code, lines = children.stream(
                command, on_line, environment=_inside(clone, environment), folder=clone, inherit=False
            )
    finally:
        children.stop()
    if code:
        errors = [line for line in lines if line.startswith("error: ")] or lines[-1:] or [f"exit code {code}"]
        raise FlowError(f"the fresh run failed: {errors[0].removeprefix('error: ')}")


def _inside(clone: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the clone's own code runs, and its state is its own."""
    kept = {name: text for name, text in environment.items() if not name.startswith(("DVC_", "PREFECT_"))}
    path = [str(clone), *filter(None, [environment.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(path), "PWD": str(clone)}


@contextmanager
def _using(cores: int) -> Iterator[None]:
    """Let what is started inside use no more cores than given, where the system can; threads and workers follow it."""
    if not hasattr(os, "sched_getaffinity") or not 0 < cores < len(os.sched_getaffinity(0)):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _compare(
    bundle: Path,
    clone: Path,
    inventory: Inventory,
    plan: Mapping[str, PlannedStage],
    differences: list[str],
    verdict: Verdict,
) -> None:
    """Note in the verdict how what the fresh run made compares with the bundle."""
    roots, metrics = sorted(path for stage in plan.values() for path in stage.outs), list_metrics(plan)
    found = {name: held for path in roots for name, held in hash_path(clone, path).items()}
    unequal = list(_compare_outs(bundle, clone, inventory, found))
    told = "; ".join(differences[:SHOWN_DIFFERENCES])
    if not differences or not unequal:
        kind = f"another kind of machine ({told})" if differences else "the same kind of machine"
        verdict.note("rerun", unequal, f"{len(found)} outputs have the same bytes, on {kind}")
        return
    tolerances = Tolerances.read()
    listed = sorted(inventory.files)
    unknown = [root for root in roots if not select_below(inventory.files, root, listed)]
    problems = [Problem(root, "not listed by the bundle") for root in unknown]
    for path in metrics:
        old, new = ((place / path) for place in (bundle, clone))
        if not (old.is_file() and new.is_file()):
            problems.append(Problem(path, "not made by the fresh run" if old.is_file() else "not in the bundle"))
            continue
        lines = tolerances.compare(path, *(json.loads(file.read_bytes()) for file in (old, new)))
        problems += [Problem(path, line) for line in lines]
    shown = "; ".join(str(problem) for problem in unequal[:SHOWN_DIFFERENCES])
    verdict.note(
        "rerun",
        problems,
        f"metrics of {len(metrics)} files agree within the spread over {tolerances.seeds} seeds, on what the "
        f"bundle says is another kind of machine ({told}); {len(unequal)} of {len(found)} outputs have other bytes, "
        f"and what they hold beside the metrics was not judged ({shown})",
    )


def _compare_outs(bundle: Path, clone: Path, inventory: Inventory, found: Mapping[str, FileHash]) -> Iterator[Problem]:
    for name in sorted({*inventory.outs, *found}):
        if name not in found:
            yield Problem(name, "not made by the fresh run")
        elif name not in inventory.files:
            yield Problem(name, "made by the fresh run, not listed by the bundle")
        elif found[name] != inventory.files[name]:
            told = tell_difference(inventory.files[name], found[name], "the bundle says", "the run made")
            yield Problem(name, told + tell_largest(bundle / name, clone / name))
