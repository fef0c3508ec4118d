"""dvc.lock is in the order of the DAG, however stages overtake each other."""

import pytest

from flows.dag import LOCK_FILE, read_order, restore_order
from tests.flows.conftest import Project

STAGES = ["slow", "quick", "a@x", "a@y"]


@pytest.fixture
def locked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose stages DVC has run in another order than that of the DAG."""
    project.write_stages(
        slow={"cmd": "echo 1 > slow", "outs": ["slow"]},
        quick={"cmd": "echo 2 > quick", "outs": ["quick"]},
        a={"foreach": ["x", "y"], "do": {"cmd": "echo ${item} > a-${item}", "outs": ["a-${item}"]}},
    )
    for stage in ("a@y", "quick", "a@x", "slow"):
        project.dvc("repro", "--single-item", stage)
    monkeypatch.chdir(project.path)
    assert read_order() == ["a@y", "quick", "a@x", "slow"]
    return project


def test_what_was_added_comes_in_the_order_of_the_dag(locked: Project) -> None:
    in_turn = locked.path.parent / "in_turn.lock"
    chaotic = LOCK_FILE.read_bytes()
    LOCK_FILE.unlink()
    for stage in STAGES:
        locked.dvc("repro", "--single-item", stage)
    in_turn.write_bytes(LOCK_FILE.read_bytes())

    LOCK_FILE.write_bytes(chaotic)
    restore_order([], STAGES)
    assert read_order() == STAGES
    assert LOCK_FILE.read_bytes() == in_turn.read_bytes()
    assert "up to date" in locked.dvc("status")


def test_what_was_there_stays_where_it_was(locked: Project) -> None:
    restore_order(["gone", "a@y", "quick"], STAGES)
    assert read_order() == ["a@y", "quick", "slow", "a@x"]
    before = LOCK_FILE.stat()
    restore_order(["a@y", "quick"], STAGES)
    assert LOCK_FILE.stat().st_mtime_ns == before.st_mtime_ns, "nothing is written where nothing moves"


def test_without_a_lock_file_there_is_no_order(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.path)
    assert read_order() == []
    restore_order([], STAGES)
    assert not LOCK_FILE.exists()
