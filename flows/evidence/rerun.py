"""The reproduction check: the recorded commit, cloned and run afresh, against what the bundle says."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flows.children import Children
from flows.dvc_output import find_error
from flows.errors import FlowError
from flows.evidence.hashing import FileHash, hash_path
from flows.evidence.inventory import Inventory, tell_difference
from flows.evidence.machine import compare_machines, describe_machine
from flows.evidence.problem import Problem, Verdict
from flows.evidence.repository import run_git

INVENTORY = "inventory.json"
ENVIRONMENT = "environment.json"
TOLERANCE = 0.05  # of the larger of two numbers
SHOWN_DIFFERENCES = 3


def rerun(bundle: Path, repository: Path, tolerance: float, on_line: Callable[[str], None], verdict: Verdict) -> None:
    """Clone the commit of a bundle that has been verified, run its DAG afresh, and compare; notes it in the verdict.

    On a machine of the same kind (processor, GPUs, system, Python, packages) every output must have the same bytes; on
    another kind the metrics must agree within their intervals or the tolerance.  repository: where the commit is
    looked for.  Raises FlowError if the commit is not there or the run fails.
    """
    inventory = Inventory.from_json(json.loads((bundle / INVENTORY).read_bytes()))
    recorded = json.loads((bundle / ENVIRONMENT).read_bytes())
    folder = Path(tempfile.mkdtemp(prefix="failure-atlas-rerun-"))
    try:
        clone = folder / "project"
        _clone(repository, clone, recorded["git"]["commit"])
        unequal = [
            Problem(path, f"{tell_difference(inventory.files[path], found, 'the bundle says', 'the commit holds')}")
            for path, found in _hash_inputs(inventory, clone)
        ]
        if not verdict.note("commit", unequal, f"{len(inventory.inputs)} inputs are those of the commit"):
            return
        _run(clone, on_line)
        found = {name: held for path in _roots(inventory) for name, held in hash_path(clone, path).items()}
        differences = compare_machines(recorded, describe_machine())
        problems = list(_compare_outs(inventory, found))
        if not differences or not problems:
            kind = "the same kind of machine" if not differences else f"another kind of machine ({differences[0]})"
            verdict.note("rerun", problems, f"{len(inventory.outs)} outputs have the same bytes, on {kind}")
            return
        told = "; ".join(differences[:SHOWN_DIFFERENCES])
        on_line(f"another kind of machine, so metrics are compared and not bytes: {told}")
        unequal = list(_compare_metrics(bundle, clone, inventory.metrics, tolerance))
        verdict.note(
            "rerun",
            unequal,
            f"metrics of {len(inventory.metrics)} files agree within their intervals or {tolerance:g} of their size, "
            f"on another kind of machine; {len(problems)} of {len(inventory.outs)} outputs have other bytes",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compare_numbers(old: Any, new: Any, tolerance: float, key: str = "") -> Iterator[str]:
    """Where two parsed metrics files differ by more than is allowed, one line each.

    `{value, low, high}`: the two intervals must overlap. Other numbers: within tolerance times the larger of the two.
    Words, truth values, keys and lengths: equal.
    """
    if _is_interval(old) and _is_interval(new):
        if old["low"] > new["high"] or new["low"] > old["high"]:
            yield f"{key}: {_tell(old)} then, {_tell(new)} now"
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from compare_numbers(old.get(name), new.get(name), tolerance, f"{key}.{name}" if key else name)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, pair in enumerate(zip(old, new, strict=True)):
            yield from compare_numbers(*pair, tolerance, f"{key}[{place}]")
    elif _is_number(old) and _is_number(new):
        both_nan = old != old and new != new  # only NaN differs from itself
        if not both_nan and not abs(old - new) <= tolerance * max(abs(old), abs(new)):
            yield f"{key}: {old} then, {new} now; allowed: {tolerance:g} of the larger"
    elif old != new:
        yield f"{key}: {old!r:.60} then, {new!r:.60} now"


def _clone(repository: Path, clone: Path, commit: str) -> None:
    # No hard links: nothing that the run does may reach the original.
    run_git(repository, "clone", "--quiet", "--no-hardlinks", "--no-checkout", ".", str(clone))
    try:
        run_git(clone, "checkout", "--quiet", "--detach", commit)
    except FlowError as error:
        raise FlowError(
            f"commit {commit[:12]} of the bundle is not in {repository}; name a clone that has it with --data"
        ) from error


def _hash_inputs(inventory: Inventory, clone: Path) -> Iterator[tuple[str, FileHash]]:
    """The inputs that the commit holds otherwise than the bundle says; of missing ones the hash of nothing."""
    for path in inventory.inputs:
        found = hash_path(clone, path).get(path, FileHash("", "", 0))
        if found != inventory.files[path]:
            yield path, found


def _run(clone: Path, on_line: Callable[[str], None]) -> None:
    """Run all of dvc.yaml there, even what DVC would skip because git holds its outputs."""
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    children = Children()
    try:
        code = children.stream([sys.executable, "-m", "dvc", "--cd", str(clone), "repro", "--force"], take)
    finally:
        children.stop()
    if code:
        raise FlowError(f"the fresh run failed: {find_error(lines, code)}")


def _roots(inventory: Inventory) -> list[str]:
    return sorted({path for stage in inventory.stages.values() for path in stage.outs})


def _compare_outs(inventory: Inventory, found: dict[str, FileHash]) -> Iterator[Problem]:
    for name in sorted({*inventory.outs, *found}):
        if name not in found:
            yield Problem(name, "not made by the fresh run")
        elif name not in inventory.files:
            yield Problem(name, "made by the fresh run, not listed by the bundle")
        elif found[name] != inventory.files[name]:
            yield Problem(name, tell_difference(inventory.files[name], found[name], "the bundle says", "the run made"))


def _compare_metrics(bundle: Path, clone: Path, metrics: list[str], tolerance: float) -> Iterator[Problem]:
    for path in metrics:
        if not (clone / path).is_file():
            yield Problem(path, "not made by the fresh run")
            continue
        old, new = (json.loads((place / path).read_bytes()) for place in (bundle, clone))
        yield from (Problem(path, line) for line in compare_numbers(old, new, tolerance))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_interval(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("value", "low", "high"))


def _tell(interval: dict[str, Any]) -> str:
    return f"{interval['value']:g} ({interval['low']:g} to {interval['high']:g})"
