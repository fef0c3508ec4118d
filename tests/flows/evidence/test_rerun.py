"""The fresh run: in a clone that nothing outside can reach, computed as the first run was, compared without belief."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from failure_atlas.core.computing import count_cores
from flows.environment import prepare_environment
from flows.evidence.attestation import make_keys, read_private_key
from flows.evidence.bundle import make_bundle
from flows.evidence.machine import compare_machines, compare_runs, describe_machine, environment_for
from flows.evidence.reading import Verdict
from flows.evidence.rerun import rerun
from tests.flows.evidence.conftest import ROOT, commit, criterion, judged, make_project, run

# Its sum depends on what is recorded: a variable and the number of cores, as kernels and threads do.
MEASURE = """
import json, os, pathlib
from stages.common.command import run_stage
from failure_atlas.core.computing import count_cores
def main() -> None:
    here = os.environ
    assert not any(name in here for name in ("GIT_DIR", "GIT_WORK_TREE")), "a variable of git"
    assert pathlib.Path(__file__).is_relative_to(pathlib.Path.cwd()), "another checkout's code"
    value = 0.5 + 1e-6 * len(here.get("OPENBLAS_CORETYPE", "")) + 1e-4 * count_cores()
    value += float(pathlib.Path("data/own/shift.txt").read_text())
    out = pathlib.Path("data/measure")
    out.mkdir(parents=True, exist_ok=True)
    share = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 30}
    (out / "metrics.json").write_text(json.dumps({"share": share}))
    (out / "table.csv").write_text(f"name,value\\na,{value}\\nb,1\\n")
if __name__ == "__main__":
    run_stage(main, "measure")
"""
STAGES = {
    "measure": {
        "cmd": "python -m stages.measure",
        "deps": ["stages/measure.py", "data/own"],
        "outs": [{"data/measure/table.csv": {"cache": False}}],
        "metrics": [{"data/measure/metrics.json": {"cache": False}}],
    },
    **judged("data/measure/metrics.json"),
}
KERNEL = {"OPENBLAS_CORETYPE": "Haswell"}  # this machine may well take another one


@dataclass
class Toy:
    """A project that is a folder of a larger repository, and the bundle of its run."""

    project: Path
    bundle: Path

    def rerun(self, **changes: str) -> tuple[Verdict, list[str]]:
        verdict, lines = Verdict(), list[str]()
        before = dict(os.environ)
        os.environ.update(changes)
        try:
            rerun(self.bundle, self.project, lines.append, verdict)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return verdict, lines

    def edit(self, name: str, change: Callable[[Any], None]) -> None:
        """Let the maker of the bundle say something else; its signature is not what is tested here."""
        content = json.loads((self.bundle / name).read_text())
        change(content)
        (self.bundle / name).write_text(json.dumps(content))


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    """The project of all tests, which no rerun changes, and a copy of its bundle that a test may spoil."""
    return Toy(made.project, Path(shutil.copytree(made.bundle, tmp_path / made.bundle.name)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    before = dict(os.environ)
    for name in KERNEL:
        os.environ.pop(name, None)
    try:
        yield make_toy(tmp_path_factory.mktemp("rerun"))
    finally:
        os.environ.clear()
        os.environ.update(before)


def make_toy(folder: Path) -> Toy:
    project = make_project(folder)
    (project / "stages").mkdir()
    (project / "stages/__init__.py").write_bytes((ROOT / "stages/__init__.py").read_bytes())
    for name in ("stages/common", "failure_atlas", "flows"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "stages/measure.py").write_text(MEASURE)
    (project / "params.yaml").write_text(json.dumps({"acceptance": criterion("measure: share")}))
    (project / "data/own").mkdir(parents=True)
    (project / "data/own/shift.txt").write_text("0\n")  # an image of one's own, which git does not hold
    (project / ".gitignore").write_text(
        "logs/\n/evidence/\n.dvc-site-cache/\n.prefect/\n__pycache__/\n.keys/\ndata/own/\n"
    )
    (project / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    # The project becomes a folder of a larger repository.
    top = folder / "larger"
    top.mkdir()
    (project / ".git").rename(top / ".git")
    project = project.rename(top / "sub folder")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("DVC_", "PREFECT_"))}
    environment |= {"PYTHONPATH": str(project), "DVC_SITE_CACHE_DIR": str(project / ".dvc-site-cache")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "dvc", "repro"]
    subprocess.run(command, cwd=project, env=environment | KERNEL, check=True)
    commit(top, "first")
    (top / "beside").touch()  # is no part of the project
    private, _, _ = make_keys(project / ".keys")
    with chdir(project):
        prepare_environment()
        bundle = project / make_bundle(read_private_key(private))
    return Toy(project, bundle)


def test_the_bundle_says_how_its_stages_computed(toy: Toy) -> None:
    held = json.loads((toy.bundle / "environment.json").read_text())
    assert held["git"]["changed"] == []
    (only,) = held["computing"]["runs"]
    assert only["stages"] == ["measure"]
    assert only["variables"].items() >= KERNEL.items(), "of the run, not of the command that made the bundle"
    assert only["cores"] == count_cores()
    assert sorted(held["computing"]["unknown"]) == ["acceptance", "report"], "which note nothing"


@pytest.mark.slow
def test_an_honest_bundle_is_accepted_whatever_the_environment(toy: Toy, tmp_path: Path) -> None:
    """Recorded variables are set, others are not there; no variable of git or DVC reaches the clone."""
    user = tmp_path / "user"
    user.mkdir()
    run(user, "git", "init", "--quiet", "--initial-branch", "main")
    git = {"GIT_DIR": str(user / ".git"), "GIT_WORK_TREE": str(user), "GIT_INDEX_FILE": str(user / "index")}
    verdict, lines = toy.rerun(OPENBLAS_CORETYPE="Nehalem", DVC_NO_SCM="1", PREFECT_API_URL="http://127.0.0.1:1", **git)
    assert verdict.accepted, (verdict.problems, lines)
    assert [line[1] for line in verdict.lines][1] == "6 outputs have the same bytes, on the same kind of machine"
    assert "1 of them not in git and taken from" in verdict.lines[0][1]
    assert (user / ".git/HEAD").read_text() == "ref: refs/heads/main\n"
    assert not (user / "index").exists()
    assert run(toy.project, "git", "status", "--porcelain", ".") == "", "the project is as it was"


@pytest.mark.slow
def test_what_differs_is_named_with_how_much(toy: Toy) -> None:
    """The machine is the same, whatever else the bundle says: a package that is not here, another number of cores."""

    def pretend(held: Any) -> None:
        held["computing"]["runs"][0]["variables"] = {}
        held["packages"]["no-such-package"] = {"version": "1", "record_sha256": None}
        held["cpu"]["cores"] = 1000
        held["os"]["release"] = "0"

    toy.edit("environment.json", pretend)
    verdict, _ = toy.rerun()
    # The variables differ from what the run had, and the bundle does not say so.
    told = {problem.path: str(problem) for problem in verdict.problems}
    assert told.keys() >= {"data/measure/metrics.json", "data/measure/table.csv", "data/report/report.html"}
    assert "the run made" in told["data/measure/metrics.json"]
    assert re.search(r"1 numbers, the most line 2 value by 1.4e-05 of its size", told["data/measure/table.csv"])


@pytest.mark.slow
def test_another_machine_by_the_bundles_word_gets_no_more_than_the_measured_spread(toy: Toy) -> None:
    def claim(held: Any) -> None:
        held["cpu"]["model"] = "abacus"

    toy.edit("environment.json", claim)
    verdict, _ = toy.rerun()  # the kernel of another processor is not taken over
    assert verdict.accepted, verdict.problems
    assert "(cpu.model: abacus then, " in verdict.lines[-1][1]
    assert "5 of 6 outputs have other bytes" in verdict.lines[-1][1]
    wide = {"share": {"value": 0.9999, "low": -1e9, "high": 1e9, "n": 30}}
    (toy.bundle / "data/measure/metrics.json").write_text(json.dumps(wide))
    verdict, _ = toy.rerun()
    assert not verdict.accepted
    assert "data/measure/metrics.json" in {problem.path for problem in verdict.problems}


def record(here: dict[str, Any], cores: int, **variables: Any) -> dict[str, Any]:
    return here | {"computing": {"runs": [{"stages": ["a"], "variables": variables, "cores": cores}], "unknown": []}}


def test_variables_of_the_rerun() -> None:
    here = describe_machine()
    then = {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "1", "FAILURE_ATLAS_DEVICE": "cuda:3"}
    now = {"HOME": "/", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "1"}
    kept = {"HOME": "/", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "1"}
    recorded = record(here, 3, **then)
    assert environment_for(recorded, here, now) == (kept | {"OPENBLAS_CORETYPE": "Haswell"}, 3)
    other = here | {"cpu": here["cpu"] | {"model": "abacus"}}
    assert environment_for(recorded, other, now) == (kept, 3), "no kernel that this processor might not have"
    others = [("PATH", "x"), ("OMP_PLACES", "/x.so"), ("OMP_NUM_THREADS", 1), ("OMP_NUM_THREADS", "1\0")]
    for name, text in (*others, ("OMP_TOOL_LIBRARIES", "x")):
        with pytest.raises(ValueError, match="no variable that changes how libraries compute"):
            environment_for(record(here, 1, **{name: text}), here, {})


def test_machines() -> None:
    machine = describe_machine()
    packages = machine["packages"]
    assert packages["dvc"]["version"].startswith("3.")
    assert len(packages["dvc"]["record_sha256"]) == 64
    assert machine["cpu"]["cores"] >= 1
    assert compare_machines(machine, machine) == []
    other = json.loads(json.dumps(machine))
    other["packages"]["dvc"]["version"] = "0"
    other["cpu"]["model"] = "abacus"
    told = compare_machines(machine, other)
    assert told[0] == f"cpu.model: {machine['cpu']['model']} then, abacus now"
    assert told[1:] == [f"package dvc: {packages['dvc']['version']} then, 0 now"]
    assert str(Path.home()) not in json.dumps(machine)


def test_runs_differ_where_both_know_a_stage() -> None:
    library = {"prefix": "blas", "version": None, "num_threads": 2}
    alike = {"variables": {}, "cores": 2, "libraries": [library], "torch": None}
    old = {"runs": [{"stages": ["a", "b", "c"], **alike}], "unknown": ["d"]}
    new = {"runs": [{"stages": ["a", "d"], **alike}, {"stages": ["b", "c"], **alike, "cores": 4}], "unknown": []}
    assert compare_runs(old, new) == ["cores: 2 then, 4 now (b and 1 more)"]
