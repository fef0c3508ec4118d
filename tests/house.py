"""The project's structure as its own code shows it: modules, imports, and the DAG of dvc.yaml."""

import ast
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from stages.common.classifiers import SECTIONS
from tests import yaml12 as yaml

ROOT = Path(__file__).parent.parent
COMMON = "common"
CHECK = "check_params"  # the first stage of the DAG


def modules(package: str) -> list[Path]:
    """Python files of a top-level package, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def rooms() -> list[str]:
    """Packages under stages/ that are DVC stages."""
    return sorted(path.parent.name for path in (ROOT / "stages").glob("*/__main__.py"))


@cache
def imported_names(module: Path) -> tuple[str, ...]:
    """Dotted names that a module imports, wherever in the file."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{module}:{node.lineno}: relative import; write the whole name")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def file_of(name: str) -> Path | None:
    """The module of this project that a dotted name lives in, if any."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = Path(*parts[:end])
        if (ROOT / path.with_suffix(".py")).is_file():
            return path.with_suffix(".py")
    return None


def import_closure(module: Path) -> set[Path]:
    """All modules of this project that running `module` loads, itself included, packages' docstrings left out."""
    closure, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current in closure:
            continue
        closure.add(current)
        waiting += [found for name in imported_names(current) if (found := file_of(name)) is not None]
    return closure


def folders_of(files: set[Path]) -> set[str]:
    """The folders that a stage lists in place of files: packages of the library, the stage's own, and common/."""
    return {str(Path(*path.parts[:2])) for path in files if len(path.parts) > 2}


def read_dag(file: str = "dvc.yaml", section: str = SECTIONS[0]) -> dict[str, dict[str, Any]]:
    """Stages of a dvc.yaml by name, a foreach group as one entry with its `do` body.

    section: where a stage repeats for each classifier under test, the section that has the classifier's entry.
    Paths start at the root, whatever folder the file is in; links in study/ lead to the folders of code.
    The stage that checks the params is no room and left out.
    """
    text = (ROOT / file).read_text(encoding="utf-8").replace("${generator}", "train_stylegan2")
    document = yaml.safe_load(text)
    stages = {name: _body_of(stage, section) for name, stage in document["stages"].items() if name != CHECK}
    for stage in stages.values():
        for kind in {"deps", "outs", "metrics", "plots"} & stage.keys():
            placed = [os.path.normpath(Path(file).parent / path) for path in paths_of(stage[kind])]
            stage[kind] = [re.sub("^study/(?=stages/|failure_atlas/)", "", path) for path in placed]
    return stages


def _body_of(stage: dict[str, Any], section: str) -> dict[str, Any]:
    if stage.get("foreach") != "${classifiers}":
        body: dict[str, Any] = stage.get("do", stage)
        return body
    return json.loads(json.dumps(stage["do"]).replace("${item}", section))  # type: ignore[no-any-return]


def read_unused() -> set[str]:
    """Stages that repeat over a section of params.yaml which is empty by default, so that none of them runs."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return {name for name in read_dag() if params[name] == {}}


def read_study() -> dict[str, dict[str, Any]]:
    """Stages of the profile that `make study` runs after the DAG."""
    return read_dag("study/dvc.yaml")


def paths_of(entries: list[Any]) -> list[str]:
    """Paths of a list of outs, metrics or plots, with or without settings."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outs_of(stage: dict[str, Any]) -> list[str]:
    """All that a stage leaves, metrics and plots included."""
    return paths_of([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])


def upstream(room: str) -> set[str]:
    """Rooms above a room in dvc.yaml, whose order is one in which they can run; a room of the study comes after all."""
    dag = list(read_dag())
    if room not in dag:
        return {*dag, *read_study()}
    return set(dag[: dag.index(room)])
