"""A small DVC project in git, made with the real tools, with a chain of two bundles."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from dvc.repo import Repo

from flows.evidence.attestation import ENVELOPE, make_keys, read_private_key, seal
from flows.evidence.bundle import make_bundle

ROOT = Path(__file__).parents[3]

DRAW = """
import json, pathlib, random
params = json.loads(pathlib.Path("params.yaml").read_text())["draw"]
out = pathlib.Path("data/draw/numbers")
out.mkdir(parents=True, exist_ok=True)
draw = random.Random(params["seed"])
for name in ("a", "b", "below/c.safetensors"):
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("".join(f"{draw.random()}\\n" for _ in range(params["count"])))
"""

# Sums differ a little with the number of threads, as those of a neural network do between kinds of machine.
MEASURE = """
import json, os, pathlib
numbers = [float(line) for path in sorted(pathlib.Path("data/draw/numbers").rglob("*")) if path.is_file()
           for line in path.read_text().splitlines()]
mean = sum(numbers) / len(numbers) + 1e-6 * int(os.environ.get("OMP_NUM_THREADS", "0"))
out = pathlib.Path("data/measure")
out.mkdir(parents=True, exist_ok=True)
(out / "metrics.json").write_text(json.dumps({"mean": {"value": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 30}}))
(out / "figures").mkdir(exist_ok=True)
(out / "figures/numbers.csv").write_text("number\\n" + "".join(f"{n}\\n" for n in numbers))
(out / "figures/numbers.png").write_bytes(bytes(range(256)))
"""

ACCEPT = """
import csv, json, pathlib
from failure_atlas.core.files import write_json
from failure_atlas.decisions.acceptance import Criterion, count_verdicts, decide_all
from failure_atlas.decisions.metrics import find_estimate
params = json.loads(pathlib.Path("params.yaml").read_text())
criteria = [Criterion(**entry) for entry in params["acceptance"]["criteria"]]
found = {}
for criterion in criteria:
    metrics = json.loads(pathlib.Path(f"data/{criterion.folder}/metrics.json").read_text())
    found[criterion.id] = find_estimate(metrics, criterion.key)
out = pathlib.Path("data/acceptance")
out.mkdir(parents=True, exist_ok=True)
verdicts = decide_all(criteria, found)
write_json(out / "gates.json", {"criteria": [verdict.as_dict() for verdict in verdicts]})
gates = json.loads((out / "gates.json").read_text())["criteria"]
(out / "metrics.json").write_text(json.dumps(count_verdicts(verdicts)))
with (out / "gates.csv").open("w", newline="") as file:
    rows = [{key: entry[key] for key in entry if key != "found"} | entry["found"] for entry in gates]
    table = csv.DictWriter(file, list(rows[0]), lineterminator="\\n")
    table.writeheader()
    table.writerows(rows)
"""

REPORT = """
import base64, html, json, pathlib, sys
from failure_atlas.assurance.argument import build_argument
from failure_atlas.assurance.basis import gather
from failure_atlas.assurance.drawing import TITLE, draw_argument
from failure_atlas.assurance.notation import write_module
out = pathlib.Path("data/report")
out.mkdir(parents=True, exist_ok=True)
shown = {name: json.loads(pathlib.Path(f"data/{name}").read_text()) for name in sys.argv[1:]}
gates = json.loads(pathlib.Path("data/acceptance/gates.json").read_text())["criteria"]
params, read = json.loads(pathlib.Path("params.yaml").read_text()), lambda path: pathlib.Path(path).read_bytes()
argument = build_argument(gather(params, gates, read))
drawn, written = (base64.b64encode(each(argument).encode()).decode()
                  for each in (lambda argument: draw_argument(argument, TITLE), write_module))
rows = "".join(
    '<tr><th scope="row">' + html.escape(f"{gate['id']} ({gate['metric']})").replace("/", "/<wbr>")
    + '</th><td><span class="badge good">' + gate["verdict"] + "</span></td></tr>"
    for gate in gates)
out.joinpath("report.html").write_text(
    f"<!doctype html><title>Report</title><table>{rows}</table>"
    f'<script type="application/json" id="metrics">{json.dumps(shown)}</script><p>All is well.</p>'
    f'<img src="data:image/svg+xml;base64,{drawn}"><a href="data:application/yaml;base64,{written}">Argument</a>')
"""


def judged(metrics: str) -> dict[str, Any]:
    """The stages without which there is no evidence; metrics: the file that the one criterion asks."""
    return {
        "acceptance": {
            "cmd": "python work/accept.py",
            "params": ["acceptance"],
            "deps": ["work/accept.py", metrics],
            "outs": [{"data/acceptance/gates.json": {"cache": False}}],
            "metrics": [{"data/acceptance/metrics.json": {"cache": False}}],
            "plots": ["data/acceptance/gates.csv"],
        },
        "report": {
            "cmd": f"python work/report.py {metrics.removeprefix('data/')} acceptance/metrics.json",
            "params": ["acceptance"],
            "deps": ["work/report.py", metrics, "data/acceptance/gates.json", "data/acceptance/metrics.json"],
            "outs": ["data/report/report.html"],
        },
    }


def criterion(metric: str, **others: Any) -> dict[str, Any]:
    """The section `acceptance` with a criterion that passes and one that fails, and a hazard that one bears on."""
    words = {"id": "mean", "comparison": ">=", "reason": "because", "supports": "a clause", "needs_generator": False}
    both = [{}, {"id": "small", "comparison": "<="}]
    hazard = {"id": "taken", "read_as": "one", "severity": "minor", "requirement": "Few are.", "criteria": ["mean"]}
    criteria = [{**words, "metric": metric, "bar": 0.1, **others, **change} for change in both]
    return {"criteria": criteria, "hazards": [hazard]}


STAGES = {
    "draw": {"cmd": "python work/draw.py", "params": ["draw"], "deps": ["work/draw.py"], "outs": ["data/draw/numbers"]},
    "measure": {
        "cmd": "python work/measure.py",
        "deps": ["work/measure.py", "data/draw/numbers"],
        "metrics": [{"data/measure/metrics.json": {"cache": False}}],
        "plots": ["data/measure/figures"],
    },
    **judged("data/measure/metrics.json"),
}


@dataclass(frozen=True)
class Made:
    """A project, its keys, and its bundles, the first one first."""

    project: Path
    key: Ed25519PrivateKey
    bundles: list[Path]

    @property
    def keys(self) -> list[Ed25519PublicKey]:
        return [self.key.public_key()]

    @property
    def newest(self) -> Path:
        return self.bundles[-1]


def run(folder: Path, *command: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DVC_", "GIT_"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc-site-cache")
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def write_params(project: Path, seed: int) -> None:
    params = {"draw": {"seed": seed, "count": 10, "rate": 1e-8}, "acceptance": criterion("measure: mean")}
    (project / "params.yaml").write_text(json.dumps(params))


def repro(project: Path, *arguments: str) -> None:
    run(project, sys.executable, "-m", "dvc", "repro", *arguments)


def commit(project: Path, message: str) -> None:
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", message)


def make_project(folder: Path) -> Path:
    """An empty project below a folder: a git repository with DVC, set up as this one is."""
    project = folder / "project"
    project.mkdir()
    run(project, "git", "init", "--quiet")
    run(project, "git", "config", "user.email", "test@localhost")
    run(project, "git", "config", "user.name", "test")
    Repo.init(str(project)).close()
    shutil.copy(ROOT / ".dvc/config", project / ".dvc/config")
    (project / "work").mkdir()
    for name, text in (("draw", DRAW), ("measure", MEASURE), ("accept", ACCEPT), ("report", REPORT)):
        (project / f"work/{name}.py").write_text(text)
    return project


def make_bundles(folder: Path) -> Made:
    """The small project below a folder, run twice, with a bundle of each run."""
    project = make_project(folder)
    (project / ".gitignore").write_text("logs/\nevidence/\n.dvc-site-cache/\n")
    (project / "pyproject.toml").write_text('[project]\nname = "toy"\nlicense = "MIT"\n')
    (project / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    private, _, _ = make_keys(project / ".keys")
    key = read_private_key(private)
    bundles = []
    for seed in (1, 2):
        write_params(project, seed)
        repro(project)
        commit(project, f"seed {seed}")
        with chdir(project):
            bundles.append(project / make_bundle(key))
    return Made(project, key, bundles)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_bundles(tmp_path_factory.mktemp("evidence"))


@pytest.fixture
def made(_made: Made, tmp_path: Path) -> Made:
    """A copy of the project and its bundles that a test may spoil."""
    project = tmp_path / "project"
    shutil.copytree(_made.project, project)
    return Made(project, _made.key, [project / path.relative_to(_made.project) for path in _made.bundles])


@pytest.fixture
def lasting(_made: Made) -> Made:
    """The one project of all tests, to be left as it is."""
    return _made


def edit_statement(bundle: Path, key: Ed25519PrivateKey, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the statement of a bundle and sign it anew, as who has the key can."""
    statement = read_payload(bundle)
    change(statement)
    (bundle / ENVELOPE).write_bytes(seal(json.dumps(statement).encode(), key))


def redefine(bundle: Path, key: Ed25519PrivateKey, part: str, **values: Any) -> None:
    """Change a part of the build definition in the statement."""
    edit_statement(bundle, key, lambda read: read["predicate"]["buildDefinition"][part].update(values))


def sign_again(bundle: Path, key: Ed25519PrivateKey) -> None:
    """Give crate and statement of a bundle the hashes of its files as they are now, and sign it."""
    hashes = {path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()) for path in list_all(bundle)}
    path = bundle / "ro-crate-metadata.json"
    with suppress(ValueError, KeyError, TypeError, OSError):  # what was made of it may be no crate any more
        crate = json.loads(path.read_bytes())
        for entity in crate["@graph"]:
            if "sha256" in entity and entity["@id"] in hashes:
                entity["sha256"] = hashes[entity["@id"]].hexdigest()
        path.write_text(json.dumps(crate))
        hashes[path.name] = hashlib.sha256(path.read_bytes())

    own = {"README.md", "environment.json", "inventory.json", "ro-crate-metadata.json", "stages.json"}

    def change(statement: dict[str, Any]) -> None:
        kept = [subject for subject in statement["subject"] if subject["annotations"]["in"] == "project"]
        statement["subject"] = [each for each in kept if each["name"] not in hashes] + [
            {"name": name, "digest": {"sha256": held.hexdigest()}, "annotations": {"in": "bundle"}}
            for name, held in hashes.items()
            if name != ENVELOPE
        ]
        for read in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
            if read["name"] in hashes and read["name"] not in own:
                read["digest"]["sha256"] = hashes[read["name"]].hexdigest()

    edit_statement(bundle, key, change)


def read_payload(bundle: Path) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads((bundle / ENVELOPE).read_bytes())["payload"]))
    return statement


def list_all(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())
