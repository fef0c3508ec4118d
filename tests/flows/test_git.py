"""The one door to git: in a folder of a larger repository, past what the environment and its settings say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.compare.sources import open_source
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.git import clone_commit, find_prefix, read_revision, run_git
from tests.house import ROOT

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "core.autocrlf=false")
LINES = {"data/unix.csv": b"a\nb\n", "data/windows.csv": b"a\r\nb\r\n", "data/mixed.csv": b"a\r\nb\n"}


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.check_output(["git", *IDENTITY, *arguments], cwd=folder, env=environment, text=True).strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in a folder of a larger repository, with bytes of each kind of line end."""
    git(tmp_path, "init", "--quiet", "larger")
    project = tmp_path / "larger/below/pro ject"
    (project / "data").mkdir(parents=True)
    for name, content in LINES.items():
        (project / name).write_bytes(content)
    (project / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    (project / "dvc.yaml").write_text("metrics: [data/m/metrics.json]\n")
    (project / "data/m").mkdir()
    (project / "data/m/metrics.json").write_text('{"a": 1}')
    (tmp_path / "larger/beside").touch()
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--subdir"], cwd=project, check=True)
    git(tmp_path / "larger", "add", ".")
    git(tmp_path / "larger", "commit", "--quiet", "--message", "one")
    return project


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another repository, to which all of git's variables point, with settings that change bytes and run code."""
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", "other")
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction"):
        (template / "hooks" / name).write_text("#!/bin/sh\nexit 1\n")
        (template / "hooks" / name).chmod(0o755)
    (tmp_path / "config").write_text(
        f"[core]\n autocrlf = true\n eol = crlf\n hooksPath = {template}/hooks\n pager = false\n"
        f"[init]\n templateDir = {template}\n"
    )
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ |= {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / "objects"),
        "GIT_PREFIX": "x/",
        "GIT_NAMESPACE": "x",
        "GIT_CEILING_DIRECTORIES": str(tmp_path / "larger/below"),
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TEMPLATE_DIR": str(template),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "config"),
        "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.worktree",
        "GIT_CONFIG_VALUE_0": str(other),
        "GIT_EXTERNAL_DIFF": "false",
    }
    return other


def test_a_clone_is_the_commit_wherever_the_environment_points(project: Path, elsewhere: Path, tmp_path: Path) -> None:
    clone = clone_commit(project, tmp_path / "clone", git(project, "rev-parse", "HEAD"))
    assert clone == tmp_path / "clone/below/pro ject"
    for name, content in LINES.items():
        assert (clone / name).read_bytes() == content
    assert run_git(clone, "status", "--porcelain", "-z") == ""
    assert (elsewhere / ".git/HEAD").read_text() == "ref: refs/heads/main\n"
    assert {path.name for path in elsewhere.iterdir()} == {".git"}


def test_a_clone_as_on_windows_has_the_same_bytes(project: Path, tmp_path: Path) -> None:
    windows = ("--config", "core.autocrlf=true", "--config", "core.eol=crlf")
    git(tmp_path, "clone", "--quiet", *windows, "larger", "windows")
    for name, content in LINES.items():
        assert (tmp_path / "windows/below/pro ject" / name).read_bytes() == content


def test_what_has_changed_is_told_from_the_project(project: Path, elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "larger/new").touch()
    (project / "dvc.yaml").unlink()
    (project / os.fsdecode(b"caf\xe9\n")).touch()
    (project / "evi[d]ence").mkdir()
    (project / "evi[d]ence/file").touch()
    revision = read_revision(project, leave_out=project / "evi[d]ence")
    assert revision.commit == git(project, "rev-parse", "HEAD")
    assert revision.changed == ["caf\\xe9\\n", "dvc.yaml"]
    assert revision.url == ""


def test_a_revision_is_read_in_its_folder(project: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    prepare_environment()
    source = open_source("HEAD")
    assert {*LINES, "dvc.yaml"} <= set(source.list_paths())
    assert source.read("data/windows.csv") == LINES["data/windows.csv"]
    assert source.read("no such file") is None
    assert source.read_metrics() == {"m": {"a": 1}}


def test_mistakes(project: Path, tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"commit 000000000000 is not in .*; name a clone that has it with --data"):
        clone_commit(project, tmp_path / "clone", "0" * 40)
    with pytest.raises(FlowError, match=r"'--upload-pack=x': no name of a commit; allowed: 40 or 64 digits"):
        clone_commit(project, tmp_path / "clone", "--upload-pack=x")
    with pytest.raises(FlowError, match=r"git rev-parse in .*not a git repository.*; a git repository with a"):
        find_prefix(tmp_path)
