"""The doctor finds what real tools leave behind, moves it aside without deleting, and DVC goes on from there."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from flows.doctor.examination import KNOWN_BOUNDS, check_files, check_versions, installed_versions
from flows.doctor.locks import Level, check_cache, check_locks
from flows.errors import FlowError
from flows.run_commands import doctor
from tests.flows.conftest import ROOT, Invoke, Project, open_project

Examine = Callable[..., tuple[int, str]]
HOLD_DVC_LOCK = (
    "import time; from dvc.repo import Repo; repo = Repo(); repo.lock.lock(); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture(scope="session")
def made(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one file and one folder in its cache, made once."""
    make = "import os; os.makedirs('d', exist_ok=True); open('d/x', 'w').write('x'); open('f', 'w').write('f')"
    with open_project(template, tmp_path_factory.mktemp("made"), None) as project:
        project.write_stages(a={"cmd": f'python -c "{make}"', "outs": ["d", "f"]})
        project.dvc("repro")
        return project.path


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Iterator[Project]:
    with open_project(made, tmp_path, None) as project:
        yield project


@pytest.fixture
def examine(invoke: Invoke) -> Examine:
    """The command, run in the project."""
    return partial(invoke, doctor)


def objects(project: Project) -> list[Path]:
    return sorted(path for path in (project.path / ".dvc/cache/files/md5").rglob("*") if path.is_file())


def damage(path: Path, content: bytes) -> None:
    """Change an object of the cache, which DVC keeps read-only."""
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def test_a_sound_project_has_nothing_wrong(examine: Examine) -> None:
    code, output = examine()
    assert code == 0, output
    assert "3 cache objects (0.00 GiB) match their names" in output
    assert output.endswith("nothing is wrong\n")
    assert "wrong " not in output


def test_every_flipped_byte_of_every_object_is_found(examine: Examine, project: Project) -> None:
    assert len(objects(project)) == 3, "two files and the list of the folder"
    for path in objects(project):
        good = path.read_bytes()
        for place in {0, len(good) // 2, len(good) - 1}:
            damage(path, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            wrong = [finding for finding in check_cache(project.path) if finding.level is Level.WRONG]
            assert [finding.movable for finding in wrong] == [(path,)]
            assert str(path.relative_to(project.path)) in wrong[0].what
        damage(path, good)
    assert [finding.level for finding in check_cache(project.path)] == [Level.GOOD]


def test_a_damaged_object_is_moved_aside_and_dvc_makes_it_good_again(examine: Examine, project: Project) -> None:
    path = next(path for path in objects(project) if path.read_bytes() == b"x")
    damage(path, b"y")
    assert "up to date" in project.dvc("status"), "DVC does not see it"
    code, output = examine()
    assert code == 1
    assert "its bytes have the MD5 415290769594460e2e485922904f345d" in output
    assert output.endswith("1 wrong\n")
    assert path.exists(), "looking changes nothing"

    code, output = examine("--repair")
    assert code == 1
    moved = re.search(r"moved (\S+) to (\.dvc/quarantine/\S+)", output)
    assert moved is not None
    assert project.path / moved[1] == path
    assert (project.path / moved[2]).read_bytes() == b"y", "kept, not deleted"
    assert not path.exists()

    project.dvc("commit", "--force")
    assert path.read_bytes() == b"x"
    lost = next(path for path in objects(project) if path.read_bytes() == b"f")
    damage(lost, b"")
    (project.path / "f").unlink()
    examine("--repair")
    project.dvc("repro", "--force", "a")
    assert (project.path / "f").read_bytes() == lost.read_bytes() == b"f"
    assert examine()[0] == 0


def test_results_that_no_stage_makes_any_more_are_moved_aside(examine: Examine, project: Project) -> None:
    make = "import os; os.makedirs('data/rank/{0}'); open('data/rank/{0}/x', 'w').write('x')"
    for name in ("old", "new"):
        ranks = {f"rank_{name}": {"cmd": f'python -c "{make.format(name)}"', "outs": [f"data/rank/{name}/x"]}}
        project.write_stages(**ranks, all={"cmd": "ls data/rank > seen", "deps": ["data/rank"], "outs": ["seen"]})
        project.dvc("repro")
    assert (project.path / "seen").read_text().split() == ["new", "old"]
    (project.path / "data/rank/.gitignore").write_text("x\n")
    code, output = examine()
    assert code == 1
    assert "data/rank/old: made by no stage now, but stages depend on data/rank\n" in output
    assert output.endswith("1 wrong\n")
    examine("--repair")
    assert sorted(path.name for path in (project.path / "data/rank").iterdir()) == [".gitignore", "new"]
    project.dvc("repro")
    assert (project.path / "seen").read_text().split() == ["new"]
    code, output = examine()
    assert code == 0, output
    assert "no results without a stage" in output


def test_what_is_half_written_is_moved_aside(examine: Examine, project: Project) -> None:
    (project.path / "data/room").mkdir(parents=True)
    (project.path / "data/room/.metrics.json.partial").write_text("{")
    (project.path / "data/room/.store.zarr.partial").mkdir()
    (project.path / "data/room/.store.zarr.partial/c.partial").write_text("half")
    (project.path / ".venv").mkdir()
    (project.path / ".venv/theirs.partial").write_text("not ours")
    transfer = objects(project)[0].with_name("5f.tmp")
    transfer.write_text("half")
    code, output = examine("--repair")
    assert code == 1
    assert output.endswith("3 wrong\n")
    kept = {path.name: path for path in (project.path / ".dvc/quarantine").rglob("*") if path.is_file()}
    assert {"c.partial", ".metrics.json.partial", "5f.tmp"} == set(kept)
    assert kept["c.partial"].read_text() == "half"
    assert (project.path / ".venv/theirs.partial").exists()
    assert examine() == (0, examine()[1])


def test_a_cut_rwlock_stops_dvc_until_it_is_moved(examine: Examine, project: Project) -> None:
    (project.path / ".dvc/tmp/rwlock").write_text('{"read": {')
    with pytest.raises(subprocess.CalledProcessError):
        project.dvc("repro")
    code, output = examine("--repair")
    assert code == 1
    assert "rwlock: empty, cut or of another form, which stops every command of DVC" in output
    assert "up to date" in project.dvc("repro")
    assert examine()[0] == 0


@pytest.mark.parametrize("text", ["", "[]", '{"read": {"a": [{"pid": "no"}]}}', '{"write": 3}'])
def test_other_forms_of_damage_are_seen(project: Project, text: str) -> None:
    (project.path / ".dvc/tmp").mkdir(exist_ok=True)
    (project.path / ".dvc/tmp/rwlock").write_text(text)
    assert [finding.level for finding in check_locks(project.path)] == [Level.WRONG, Level.GOOD]


def test_locks_of_the_dead_are_noted_and_those_of_the_living_are_left(examine: Examine, project: Project) -> None:
    rwlock = project.path / ".dvc/tmp/rwlock"
    with subprocess.Popen(["true"]) as gone:
        pass
    rwlock.write_text(json.dumps({"write": {"d": {"pid": gone.pid, "cmd": "dvc repro"}}}))
    code, output = examine()
    assert (code, f"processes that have ended (pid {gone.pid})" in output) == (0, True)
    rwlock.write_text(json.dumps({"read": {"d": [{"pid": os.getpid(), "cmd": "dvc repro"}]}}))
    (project.path / "half.partial").write_text("being written")
    code, output = examine()
    assert code == 0
    assert f"DVC is at work (pid {os.getpid()}: dvc repro)" in output
    assert "partial files were not looked for" in output


def test_nothing_is_moved_while_dvc_is_at_work(examine: Examine, project: Project) -> None:
    path = objects(project)[0]
    damage(path, b"")
    command = [sys.executable, "-c", HOLD_DVC_LOCK]
    with subprocess.Popen(command, cwd=project.path, env=project.environment, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        notes = [finding.what for finding in check_locks(project.path) if finding.level is Level.NOTE]
        assert notes == [f"a run of DVC is at work (pid {holder.pid})"]
        with pytest.raises(FlowError, match="a run is at work in this project; wait for it or end it"):
            examine("--repair")
        holder.kill()
    assert path.exists()
    assert "moved" in examine("--repair")[1]


@pytest.mark.parametrize(
    ("package", "held"),
    [("fastapi", "0.155.0"), ("sqlalchemy", "2.1.0b1"), ("zarr", "3.1.5"), ("prefect", "3.9.1"), ("dvc", "4.0")],
)
def test_versions_known_to_break(package: str, held: str) -> None:
    findings = list(check_versions(installed_versions() | {package: held}))
    (wrong,) = [finding for finding in findings if finding.level is Level.WRONG]
    assert wrong.what == f"{package} {held}: {KNOWN_BOUNDS[package][1]}"
    assert re.fullmatch(rf"pip install '{package}[<>=,.\d]+'", wrong.advice)


def test_this_installation_and_an_empty_one() -> None:
    assert [finding.level for finding in check_versions(installed_versions())] == [Level.GOOD]
    assert {finding.level for finding in check_versions({})} == {Level.WRONG}


def test_the_bounds_are_those_of_the_project() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for name, (allowed, _) in KNOWN_BOUNDS.items():
        (line,) = [each for each in wanted if re.match(rf"{name}\b", each)]
        assert SpecifierSet(re.sub(r"^[^<>=]*", "", line)) == SpecifierSet(allowed), name


def test_a_full_disk(examine: Examine) -> None:
    code, output = examine("--free-gib", "1e9")
    assert (code, "1 wrong" in output) == (1, True)
    assert "GiB free, a run may need 1000000000.0 GiB" in output


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("dvc.lock", "schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a:\n", "is no YAML"),
        ("params.yaml", "", "holds no mapping"),
        ("dvc.yaml", "- a\n", "holds no mapping"),
    ],
)
def test_cut_project_files(project: Project, name: str, text: str, reason: str) -> None:
    (project.path / name).write_text(text)
    (finding,) = check_files(project.path)
    assert finding.what.startswith(f"{name}: {reason}")
    assert finding.advice == f"restore it with: git checkout -- {name}"


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowError, match=r"no \.dvc here; go to the project's root and try again"):
        doctor()
