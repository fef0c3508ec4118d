"""DVC's own commands beside the flows: experiments in folders of their own, a study apart."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.flows.conftest import ROOT
from tests.project import commit

STAGES = """
stages:
  double:
    cmd: python -c "import pathlib; n = float(pathlib.Path('params.yaml').read_text()[3:]);
      pathlib.Path('out').write_text(str(2 * n))"
    params: [x]
    outs: [out]
"""
USER = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A stage under this project's own settings, as a clone has them; nobody has run failure-atlas in it."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / ".dvc", project / ".dvc", ignore=lambda *_: ["tmp", "cache", "config.local", "quarantine"])
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, project)
    (project / "dvc.yaml").write_text(STAGES)
    (project / "params.yaml").write_text("x: 1.0")
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    commit(project, "all")
    yield project
    with Repo(str(project)) as repo:
        shutil.rmtree(repo.site_cache_dir, ignore_errors=True)  # DVC's own place for what it keeps of a project


def dvc(folder: Path, *arguments: str) -> str:
    """What DVC says, as a user has it who set nothing; it has to exit with 0."""
    held = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    environment = held | USER | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["dvc", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_experiments_run_in_folders_of_their_own(project: Path) -> None:
    dvc(project, "exp", "run", "--temp", "--name", "apart", "-S", "x=1e-5")
    dvc(project, "exp", "run", "--queue", "--name", "later", "-S", "x=3")
    dvc(project, "exp", "run", "--run-all")
    assert (project / "params.yaml").read_text() == "x: 1.0"
    for name, out in (("apart", "2e-05"), ("later", "6.0")):
        dvc(project, "exp", "apply", name)
        assert (project / "out").read_text() == out
    (project / "below").mkdir()
    dvc(project / "below", "status")  # state of a subfolder is none of its own
    assert list((project / "below").iterdir()) == []


def test_what_the_study_makes_belongs_to_a_project_of_its_own(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    assert "study" not in dvc(clone, "data", "status", "--json")
    for folder in (clone, clone / "study"):
        with Repo(str(folder)) as repo:
            assert {stage.path_in_repo for stage in repo.index.stages} == {"dvc.yaml"}
