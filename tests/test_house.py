"""Import rules, and dvc.yaml against the code that it runs."""

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows.dag import read_dag as flows_dag
from stages.common.classifiers import KEY, SECTIONS
from tests import yaml12 as yaml
from tests.house import (
    CHECK,
    ROOT,
    file_of,
    folders_of,
    import_closure,
    imported_names,
    modules,
    paths_of,
    read_dag,
    read_study,
    rooms,
)

# networkx is the form of DVC's graph. The second row makes and checks evidence; ruamel reads dvc.lock as DVC does.
FLOWS_MAY_IMPORT = {
    *("dvc", "failure_atlas", "flows", "networkx", "prefect", "rich", "typer"),
    *("cryptography", "google", "in_toto_attestation", "rocrate", "ruamel", "securesystemslib", "voluptuous"),
    *sys.stdlib_module_names,
}


def room_of(module: Path) -> str:
    return module.parts[1]


FILES = {"dvc.yaml": ("params.yaml", "data"), "study/dvc.yaml": ("study/params.yaml", "study/data")}


@pytest.mark.parametrize("file", FILES)
def test_stages_packages_sections_and_folders_are_one(file: str) -> None:
    params, folder = FILES[file]
    dag = read_dag(file)
    sections = yaml.safe_load((ROOT / params).read_text(encoding="utf-8")).keys() - {KEY}
    assert sorted(dag) == sorted(sections)
    for name, stage in dag.items():
        outs = paths_of([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])
        assert all(out.startswith(f"{folder}/{name}/") for out in outs), name
        assert f"python -m stages.{name}" in stage["cmd"], name


def test_the_first_stage_checks_the_params_and_all_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][CHECK]
    assert body["deps"] == ["params.yaml", "failure_atlas", "stages"]
    monkeypatch.chdir(ROOT)
    needs = flows_dag()
    assert needs.stages[0] == CHECK
    assert all(CHECK in needs.upstream([stage]) for stage in needs.stages)


def test_every_room_is_a_stage_of_the_dag_or_of_the_study() -> None:
    assert sorted({*read_dag(), *read_study()}) == rooms()


@pytest.mark.parametrize("file", FILES)
def test_the_order_of_dvc_yaml_is_the_order_of_params_yaml(file: str) -> None:
    params = yaml.safe_load((ROOT / FILES[file][0]).read_text(encoding="utf-8"))
    assert list(read_dag(file)) == [name for name in params if name != KEY]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_stage_reads_what_a_stage_above_it_leaves(section: str) -> None:
    above = {"brought", "own_images", CHECK}  # what people bring, and what no room makes
    for name, stage in read_dag(section=section).items():
        read = {Path(dep).parts[1] for dep in stage["deps"] if dep.startswith("data/")}
        assert read <= above, name
        above.add(name)


@pytest.mark.parametrize("module", modules("stages"), ids=str)
def test_no_stage_imports_another(module: Path) -> None:
    for name in imported_names(module):
        top = name.split(".")[0]
        assert top not in {"prefect", "dvc", "flows", "tests"}, f"{module} imports {name}"
        target = file_of(name)
        if target is None or target.parts[0] != "stages" or len(target.parts) < 3 or len(module.parts) < 3:
            continue  # what stands in stages/ itself checks the params of all
        assert room_of(target) in {room_of(module), "common"}, f"{module} imports {name}"
        assert room_of(module) != "common" or room_of(target) == "common", f"{module} imports {name}"


@pytest.mark.parametrize("module", modules("failure_atlas"), ids=str)
def test_the_library_imports_nothing_of_the_project_but_itself(module: Path) -> None:
    for name in imported_names(module):
        assert name.split(".")[0] not in {"prefect", "dvc", "yaml", "ruamel", "flows", "stages", "tests"}, name


@pytest.mark.parametrize("module", modules("flows"), ids=str)
def test_flows_import_no_stage(module: Path) -> None:
    for name in imported_names(module):
        assert name.split(".")[0] in FLOWS_MAY_IMPORT, f"{module} imports {name}"


@pytest.mark.parametrize(("file", "room"), [(file, room) for file in FILES for room in read_dag(file)])
def test_deps_are_the_import_closure(file: str, room: str) -> None:
    closure = {path for path in import_closure(Path("stages", room, "__main__.py")) if path.name != "__init__.py"}
    assert not [path for path in closure if len(path.parts) < 3], "a stage imports from folders, which DVC watches"
    # The study is a DVC project of its own, and DVC ignores no __pycache__ outside of a project: it lists files.
    needed = folders_of(closure) if file == "dvc.yaml" else set(map(str, closure))
    deps = read_dag(file)[room]["deps"]
    listed = {dep for dep in deps if dep.startswith(("stages/", "failure_atlas/"))}
    assert listed == needed, f"missing: {sorted(needed - listed)}; not imported: {sorted(listed - needed)}"
    assert len(set(deps)) == len(deps)


@pytest.mark.parametrize(
    "package", [p for top in ("failure_atlas", "stages", "flows") for p in modules(top) if p.name == "__init__.py"]
)
def test_package_files_hold_a_docstring_only(package: Path) -> None:
    body = ast.parse((ROOT / package).read_text(encoding="utf-8")).body
    assert isinstance(body[0], ast.Expr)
    if package == Path("failure_atlas", "__init__.py"):
        return  # names for notebooks, each loaded when it is asked for; no module of the project imports them
    # DVC does not watch package files. That of the stages imports what has to come before any library.
    assert [ast.unparse(node) for node in body[1:]] == ["import stages.common.settings"] * (
        package.parent.name == "stages"
    )


def expand(word: str) -> list[str]:
    """The folders that a path with `{name}` and `{section}` in it reaches into."""
    return sorted({word.replace("{section}", section).split("/{name}")[0] for section in SECTIONS})


@pytest.mark.parametrize("section", SECTIONS)
def test_every_declared_path_of_a_command_is_a_dependency_or_an_out(section: str) -> None:
    for name, stage in [*read_dag(section=section).items(), *read_study().items()]:
        words = [word.split("=")[-1] for word in stage["cmd"].split() if "data/" in word]
        known = [
            *stage["deps"],
            *paths_of([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]),
        ]
        for word in words:
            for place in expand(word):
                assert any(path == place or path.startswith(f"{place}/") for path in known), f"{name}: {place}"


def test_the_study_validates_every_classifier_that_it_trains() -> None:
    params = yaml.safe_load((ROOT / "study" / "params.yaml").read_text(encoding="utf-8"))
    stage = read_study()["validate_externally"]
    trained = {
        name: f"study/data/train_classifiers/{name}/classifier.safetensors" for name in params["train_classifiers"]
    }
    validated = dict(re.findall(r"--classifier (\w+)=(\S+)", stage["cmd"]))
    assert trained.items() <= validated.items()
    assert set(validated.values()) <= set(stage["deps"])


def test_dvc_takes_a_brought_classifier_through_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params[KEY]["mine"] = "bring_classifiers"
    params["bring_classifiers"] = {"mine": {"load": "net:Net", "weights": "weights.pt"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".site-cache"))
    Repo.init(no_scm=True).close()
    with Repo() as repo:
        stages = {stage.addressing: stage for stage in repo.index.stages}
        deps = {name: {str(dep) for dep in stage.deps} for name, stage in stages.items()}
    needs = flows_dag().needs
    assert "data/brought/mine" in deps["bring_classifiers@mine"]
    assert "--folder data/brought/mine" in stages["bring_classifiers@mine"].cmd
    repeated = {name.removesuffix("@mine") for name in stages if name.endswith("@mine")} - {"bring_classifiers"}
    assert repeated == {name.removesuffix("@clean") for name in stages if name.endswith("@clean")} - {
        "train_classifiers"
    }
    for name in repeated - {"name_directions"}:  # which looks at the ranking, not at the classifier
        assert "data/bring_classifiers/mine/classifier.safetensors" in deps[f"{name}@mine"]
        assert "bring_classifiers@mine" in needs[f"{name}@mine"]
    for name, wanted in (  # these take folders of results whole
        ("compute_curves", "shift_samples@mine"),
        ("acceptance", "bring_classifiers@mine"),
        ("report", "bring_classifiers@mine"),
    ):
        assert wanted in needs[name]
        assert not any("mine" in dep for dep in deps[name])
