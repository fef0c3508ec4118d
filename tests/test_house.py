"""Import rules, dvc.yaml against the code that it runs, what git holds, and how large the house may grow."""

import ast
import io
import shutil
import subprocess
import sys
import tokenize
from collections import Counter
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
    outs_of,
    read_dag,
    read_study,
    rooms,
)

# distributed, if it is there, runs stages elsewhere; networkx is the form of DVC's graph. The second row makes and
# checks evidence; ruamel reads dvc.lock as DVC does. The third draws a page, and Student's t is of SciPy.
FLOWS_MAY_IMPORT = {
    *("distributed", "dvc", "failure_atlas", "flows", "networkx", "packaging", "prefect", "rich", "typer"),
    *(
        "cryptography",
        "google",
        "in_toto_attestation",
        "rfc3161_client",
        "rocrate",
        "ruamel",
        "securesystemslib",
        "voluptuous",
    ),
    *("jinja2", "markupsafe", "scipy"),
    *sys.stdlib_module_names,
}

MOST_OF_A_FUNCTION, TINY = 80, 40  # lines
NO_CODE = {getattr(tokenize, kind) for kind in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}


def room_of(module: Path) -> str:
    return module.parts[1]


FILES = {"dvc.yaml": ("params.yaml", "data"), "study/dvc.yaml": ("study/params.yaml", "study/data")}


@pytest.mark.parametrize("file", FILES)
def test_stages_packages_sections_and_folders_are_one(file: str) -> None:
    params, folder = FILES[file]
    dag = read_dag(file)
    read = yaml.safe_load((ROOT / params).read_text(encoding="utf-8"))
    sections = [name for name in read if name not in (KEY, "generator")]  # which of several, no stage's section
    assert [name for name in dag if name in sections] == sections, "in the order of the DAG"
    assert all(name in sections or "../params.yaml" in str(stage["params"]) for name, stage in dag.items())
    for name, stage in dag.items():
        outs = outs_of(stage)
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


@pytest.mark.parametrize("section", SECTIONS)
def test_every_stage_reads_what_a_stage_above_it_leaves(section: str) -> None:
    above = {
        "brought",
        "brought_generator",
        "own_images",
        "released",
        CHECK,
    }  # what people bring, and what no room makes
    for name, stage in read_dag(section=section).items():
        read = {Path(dep).parts[1] for dep in stage["deps"] if dep.startswith("data/")}
        assert read <= above, name
        above.add(name)


def test_no_stage_imports_another() -> None:
    for module in modules("stages"):
        for name in imported_names(module):
            assert name.split(".")[0] not in {"prefect", "dvc", "flows", "tests"}, f"{module} imports {name}"
            target = file_of(name)
            if target is None or target.parts[0] != "stages" or len(target.parts) < 3 or len(module.parts) < 3:
                continue  # what stands in stages/ itself checks the params of all
            assert room_of(target) in {room_of(module), "common"}, f"{module} imports {name}"
            assert room_of(module) != "common" or room_of(target) == "common", f"{module} imports {name}"


def test_the_library_imports_nothing_of_the_project_but_itself() -> None:
    others = {"prefect", "dvc", "yaml", "ruamel", "flows", "stages", "tests"}
    for module in modules("failure_atlas"):
        for name in imported_names(module):
            assert name.split(".")[0] not in others, f"{module} imports {name}"


def test_flows_import_no_stage() -> None:
    for module in modules("flows"):
        for name in imported_names(module):
            assert name.split(".")[0] in FLOWS_MAY_IMPORT, f"{module} imports {name}"


@pytest.mark.parametrize(("file", "room"), [(file, room) for file in FILES for room in read_dag(file)])
def test_deps_are_the_import_closure(file: str, room: str) -> None:
    closure = {path for path in import_closure(Path("stages", room, "__main__.py")) if path.name != "__init__.py"}
    assert not [path for path in closure if len(path.parts) < 3], "a stage imports from folders, which DVC watches"
    needed = folders_of(closure)
    deps = read_dag(file)[room]["deps"]
    listed = {dep for dep in deps if dep.startswith(("stages/", "failure_atlas/"))}
    assert listed == needed, f"missing: {sorted(needed - listed)}; not imported: {sorted(listed - needed)}"
    assert len(set(deps)) == len(deps)


def test_package_files_hold_a_docstring_only() -> None:
    for package in (path for top in ("failure_atlas", "stages", "flows") for path in modules(top)):
        if package.name != "__init__.py":
            continue
        first, *others = ast.parse((ROOT / package).read_text(encoding="utf-8")).body
        assert isinstance(first, ast.Expr), package
        # DVC does not watch package files. That of the stages imports what has to come before any library.
        if package == Path("failure_atlas", "__init__.py"):
            continue  # names for notebooks, each loaded when it is asked for; no module of the project imports them
        allowed = ["import stages.common.settings"] if package.parent.name == "stages" else []
        assert [ast.unparse(node) for node in others] == allowed, package


TRAININGS = ("train_classifiers", "bring_classifiers", "train_judges", "train_stylegan2")


def drawing_modules() -> list[Path]:
    """All modules that import matplotlib, and those named for their figures."""
    every = [*modules("failure_atlas"), *modules("stages")]
    drawn = {m for m in every if any(name.split(".")[0] == "matplotlib" for name in imported_names(m))}
    return sorted(drawn | {m for m in every if m.stem == "figures"})


@pytest.mark.parametrize(("file", "room"), [(file, room) for file in FILES for room in TRAININGS])
def test_no_training_depends_on_what_draws(file: str, room: str) -> None:
    dag = read_dag(file)
    deps = dag[room]["deps"] if room in dag else []
    assert len(drawing_modules()) > 5
    assert not [m for m in drawing_modules() if any(m == Path(dep) or Path(dep) in m.parents for dep in deps)]


def test_whoever_changes_a_figure_trains_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("failure_atlas", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    assert len(drawing_modules()) > 5
    for module in drawing_modules():
        with (tmp_path / module).open("a", encoding="utf-8") as opened:
            opened.write("# touched\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".site-cache"))
    Repo.init(no_scm=True).close()
    with Repo() as repo:
        status = repo.status()
    changed = {
        stage: {path for entry in told if isinstance(entry, dict) for path in entry.get("changed deps", {})}
        for stage, told in status.items()
    }
    assert "failure_atlas/drawing" in changed["report"]
    for stage, paths in changed.items():
        if stage.split("@")[0] in TRAININGS:  # their data are not in the copy
            assert not [path for path in paths if path.startswith(("stages/", "failure_atlas/"))], stage


def expand(word: str) -> list[str]:
    """The folders that a path with `{name}` and `{section}` in it reaches into."""
    return sorted({word.replace("{section}", section).split("/{name}")[0] for section in SECTIONS})


@pytest.mark.parametrize("section", SECTIONS)
def test_every_declared_path_of_a_command_is_a_dependency_or_an_out(section: str) -> None:
    for name, stage in [*read_dag(section=section).items(), *read_study().items()]:
        words = [word.split("=")[-1] for word in stage["cmd"].split() if "data/" in word]
        known = [*stage["deps"], *outs_of(stage)]
        for word in words:
            for place in expand(word):
                assert any(path == place or path.startswith(f"{place}/") for path in known), f"{name}: {place}"


def test_the_study_validates_every_classifier_that_it_trains() -> None:
    stage = read_study()["validate_externally"]
    assert "--trained study/data/train_classifiers/{name}/classifier.safetensors" in stage["cmd"]
    assert "study/data/train_classifiers" in stage["deps"]
    assert "train_classifiers" in stage["params"], "whose keys are the names"


@pytest.mark.parametrize("folder", [".", "study"])
def test_git_ignores_all_that_dvc_caches_and_nothing_else(folder: str) -> None:
    """So that a run leaves nothing for git to see, and DVC writes no .gitignore of its own."""
    with Repo(str(ROOT / folder)) as repo:
        cached = {
            Path(out.fs_path).relative_to(ROOT): out.use_cache for stage in repo.index.stages for out in stage.outs
        }
    asked = "\0".join(map(str, cached))
    told = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z"], cwd=ROOT, input=asked, capture_output=True, text=True, check=False
    )
    assert {str(path) for path, is_cached in cached.items() if is_cached} == {*told.stdout.split("\0")} - {""}


def git_files(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_git_holds_few_and_small_results() -> None:
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in git_files("data", "study/data")}
    assert len(sizes) <= 105, "\n".join(sorted(sizes))
    assert sum(sizes.values()) <= 41_000_000, sorted(sizes.items(), key=lambda each: -each[1])[:10]
    large = {name: size for name, size in sizes.items() if size > 50_000 and not name.startswith("data/released/")}
    assert not large, "let DVC cache them, and data/.gitignore name them"


@pytest.mark.parametrize(
    ("file", "most"), [("README.md", 150), ("dvc.yaml", 575), ("study/dvc.yaml", 365), ("params.yaml", 360)]
)
def test_what_people_read_is_short(file: str, most: int) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= most


def test_no_function_is_long_and_few_modules_are_tiny() -> None:
    long, tiny = [], []
    for path in git_files("*.py"):
        name = path.relative_to(ROOT)
        if name.parts[0] == "tests":
            continue
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            lines = (node.end_lineno or 0) - node.lineno + 1 if isinstance(node, ast.FunctionDef) else 0
            if lines > MOST_OF_A_FUNCTION:
                long.append(f"{name}: {ast.unparse(node).split('(')[0]}: {lines} lines")
        if name.name != "__init__.py" and text.count("\n") <= TINY:
            tiny.append(str(name))
    assert not long, "\n".join(long)
    assert len(tiny) <= 30, "\n".join(tiny)


@pytest.mark.parametrize(("is_test", "most"), [(False, 32_150), (True, 24_935)], ids=["code", "tests"])
def test_the_project_is_small(is_test: bool, most: int) -> None:
    """Lines that hold code: no docstring, comment or empty line is counted."""
    rooms: Counter[str] = Counter()
    for path in git_files("*.py"):
        name = path.relative_to(ROOT)
        if (name.parts[0] == "tests") == is_test:
            rooms["/".join(name.parts[: 3 if is_test else 2])] += count_code(path.read_text(encoding="utf-8"))
    assert rooms.total() <= most, "\n".join(f"{room}: {lines}" for room, lines in rooms.most_common(30))


def count_code(text: str) -> int:
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            documented.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - documented)


def test_lines_are_counted_without_words_about_them() -> None:
    text = (
        '"""A module\nof two."""\n\nx = 1  # one\n# none\n\n\ndef f():\n    """F."""\n    return [\n        x\n    ]\n'
    )
    assert count_code(text) == 5


def test_dvc_lets_a_brought_generator_stand_in_for_the_trained_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    entries = {"other": {"file": "a.pkl", "sha256": "0" * 64}, "mine": {"load": "net:Decoder"}}
    params |= {"generator": "bring_generator/mine", "bring_generator": entries}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".site-cache"))
    Repo.init(no_scm=True).close()
    dag = flows_dag()
    assert "bring_generator@other" in dag.needs
    assert "bring_generator@mine" in dag.needs["sample_populations"]
    assert "bring_generator@mine" in dag.needs["judge_failures@clean"]
    assert "train_stylegan2" not in dag.upstream(["report"]), "which would train what nobody looks at"


def test_dvc_takes_a_brought_classifier_through_the_dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params[KEY]["mine"] = "bring_classifiers"
    names = ("mine", "judge", "auditor")
    params["bring_classifiers"] = {name: {"load": "net:Net", "weights": "weights.pt"} for name in names}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".site-cache"))
    Repo.init(no_scm=True).close()
    needs = flows_dag().needs
    judges = {f"bring_classifiers@{name}" for name in ("judge", "auditor")}
    assert needs["train_judges"] & {f"bring_classifiers@{name}" for name in names} == judges  # no other trains them
    repeated, trained = ({name.split("@")[0] for name in needs if name.endswith(end)} for end in ("@mine", "@clean"))
    assert repeated - {"bring_classifiers"} == trained - {"train_classifiers"}
    for name in repeated - {"bring_classifiers", "name_directions"}:  # the last looks at the ranking alone
        assert "bring_classifiers@mine" in needs[f"{name}@mine"]
    for name, wanted in (  # these take folders of results whole
        ("compute_curves", "rank_dimensions@mine"),
        ("acceptance", "bring_classifiers@mine"),
        ("report", "bring_classifiers@mine"),
    ):
        assert wanted in needs[name]
