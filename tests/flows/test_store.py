"""The store between machines: waited for while it is gone, and told in one line if it refuses or stays away."""

import os
import shutil
from pathlib import Path

import pytest

from flows import store
from flows.children import Children
from flows.environment import prepare_environment
from flows.errors import FlowError
from flows.store import move_data, require_store
from tests.flows.conftest import Bucket, Project, stage


@pytest.fixture
def toy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one stage that has run, and no remote yet."""
    project.write_stages(a=stage("echo one > out", "out"))
    project.dvc("repro", "-q")
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(os, "environ", project.environment.copy())
    prepare_environment()
    return project


def move(verb: str, lines: list[str]) -> None:
    move_data(verb, ["a"], Path(), Children(), lines.append)


def test_a_folder_that_is_gone_is_waited_for_and_never_made_anew(
    toy: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FlowError, match=r"no DVC remote is the default, .*; dvc remote add --default store URL"):
        require_store(Path())
    folder, lines = tmp_path / "store", list[str]()
    toy.dvc("remote", "add", "--default", "store", str(folder))
    monkeypatch.setattr(store, "WAITS", (0.1, 0.2))
    with pytest.raises(FlowError) as told:
        move("push", lines)
    gone = f"{folder}: the folder is not there"
    assert str(told.value) == f"dvc push: the store: {gone}; try in {toy.path}: dvc push a"
    assert lines == [f"the store does not answer ({gone}); dvc push again in {wait} s" for wait in (0.1, 0.2)]
    assert not folder.exists(), "a disk that is not mounted is not written under"
    move_data("push", ["a"], Path(), Children(), lambda _: folder.mkdir())
    shutil.rmtree(".dvc/cache")
    Path("out").write_text("changed\n")
    move("pull", lines)
    assert Path("out").read_text() == "one\n"
    assert len(lines) == 2, "nothing was waited for"


@pytest.mark.slow
def test_an_s3_store_that_is_gone_is_waited_for_and_a_wrong_key_is_told_at_once(
    toy: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.dvc("remote", "add", "--default", "store", "s3://bucket/atlas")
    toy.dvc("remote", "modify", "store", "endpointurl", bucket.url)
    monkeypatch.setattr(store, "WAITS", (0.1,))
    lines = list[str]()

    def start(line: str) -> None:
        lines.append(line)
        bucket.start()
        os.environ.update(bucket.user)

    os.environ.update(bucket.user | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
    move_data("push", ["a"], Path(), Children(), start)
    assert len(lines) == 1
    assert "Could not connect to the endpoint URL" in lines[0]
    shutil.rmtree(".dvc/cache")
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", "wrong")
    for verb in ("pull", "push"):
        with pytest.raises(FlowError, match=f"^dvc {verb}: the store: [^\\n]*Forbidden[^\\n]*; try in [^\\n]*$"):
            move(verb, lines)
        Path("out").write_text("another\n")
        toy.dvc("commit", "--quiet", "--force")
    assert len(lines) == 1, "nothing was waited for"
    bucket.stop()
    with pytest.raises(FlowError, match="Could not connect"):
        move("push", lines)
    assert len(lines) == 2
