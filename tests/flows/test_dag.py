"""The DAG as DVC reads it, what has changed, and dvc.lock in its order, however stages overtake each other."""

import json
import re
import shutil
from pathlib import Path

import pytest

from flows.dag import LOCK_FILE, Dag, read_all_changes, read_changes, read_dag, read_order, restore_order
from flows.errors import FlowError
from tests.flows.conftest import Project

DIAMOND = Dag(
    {
        "prepare": frozenset(),
        "train@clean": frozenset({"prepare"}),
        "train@corrupted": frozenset({"prepare"}),
        "rank": frozenset({"train@clean", "train@corrupted"}),
        "other": frozenset(),
    }
)


@pytest.fixture
def toy(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Written in an order that is no order of execution.
    project.write_stages(
        report={"cmd": "cat clean corrupted > report", "deps": ["clean", "corrupted"], "outs": ["report"]},
        train={
            "foreach": ["clean", "corrupted"],
            "do": {"cmd": "cp raw ${item}", "deps": ["raw"], "outs": ["${item}"]},
        },
        prepare={"cmd": "echo raw > raw", "outs": ["raw"]},
        alone={"cmd": "echo alone > alone", "outs": ["alone"]},
    )
    monkeypatch.chdir(project.path)
    return project


def test_edges_are_those_that_dvc_draws_and_each_stage_stands_after_what_it_needs(toy: Project) -> None:
    drawn = set(re.findall(r'"(.+)" -> "(.+)"', toy.dvc("dag", "--dot")))
    dag = read_dag()
    assert {(needed, stage) for stage, needs in dag.needs.items() for needed in needs} == drawn
    assert len(drawn) == 4
    assert dag.stages == ["prepare", "train@clean", "train@corrupted", "report", "alone"]
    assert dag.entries == {"clean", "corrupted"}
    assert read_dag() is dag
    toy.write_stages(alone={"cmd": "touch out", "outs": ["out"]})
    assert read_dag().stages == ["alone"], "a DAG that has changed is read again"


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (None, list(DIAMOND.needs)),
        ([], list(DIAMOND.needs)),
        (["train@clean"], ["prepare", "train@clean"]),
        (["train"], ["prepare", "train@clean", "train@corrupted"]),
        (["other", "prepare"], ["prepare", "other"]),
        (["rank", "other"], list(DIAMOND.needs)),
    ],
)
def test_targets_bring_what_they_need(targets: list[str] | None, expected: list[str]) -> None:
    assert DIAMOND.select(targets).stages == expected


def test_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(
        FlowError, match=r"unknown target 'trian'; .*prepare, train@clean, train@corrupted, rank, other"
    ):
        DIAMOND.select(["prepare", "trian"])


def test_changes_are_seen_in_the_folder_and_in_the_cache(toy: Project) -> None:
    assert read_changes("prepare") != []
    toy.dvc("repro", "prepare")
    assert read_changes("prepare") == []
    Path("raw").write_text("changed\n")
    assert read_changes("prepare") == ["changed outs: raw (modified)"]
    Path("raw").write_text("raw\n")
    shutil.rmtree(".dvc/cache")
    assert read_changes("prepare") == ["changed outs: raw (not in cache)"]


def test_all_changes_are_those_of_each_stage(toy: Project) -> None:
    def one_by_one() -> dict[str, list[str]]:
        return {stage: changes for stage in read_dag().stages if (changes := read_changes(stage))}

    assert set(read_all_changes()[1]) == set(read_dag().stages)
    toy.dvc("repro")
    assert read_all_changes() == (read_dag(), {})
    assert one_by_one() == {}
    Path("raw").write_text("changed\n")
    assert read_all_changes()[1] == one_by_one()
    assert read_all_changes()[1]["prepare"] == ["changed outs: raw (modified)"]
    Path("dvc.lock").write_text("stages: [")
    with pytest.raises(FlowError, match=r"^DVC cannot read this project: [^\n]*dvc.lock[^\n]*$"):
        read_all_changes()


CYCLE = {"a": {"cmd": "x", "deps": ["b"], "outs": ["a"]}, "b": {"cmd": "x", "deps": ["a"], "outs": ["b"]}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stages: [", r"^DVC cannot read this project: [^\n]*dvc.yaml[^\n]*$"),
        (json.dumps({"stages": CYCLE}), "both a dependency and an output"),
        ("stages: {}", "no stage"),
    ],
)
def test_dvc_yaml_without_a_dag_is_told_in_one_line(toy: Project, text: str, told: str) -> None:
    Path("dvc.yaml").write_text(text)
    with pytest.raises(FlowError, match=told):
        read_dag()


def test_no_dvc_project_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowError, match="not inside of a DVC repository"):
        read_dag()


STAGES = ["slow", "quick", "a@x", "a@y"]


@pytest.fixture
def locked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose dvc.lock has its stages in another order than that of the DAG."""
    project.write_stages(
        slow={"cmd": "echo 1 > slow", "outs": ["slow"]},
        quick={"cmd": "echo 2 > quick", "outs": ["quick"]},
        a={"foreach": ["x", "y"], "do": {"cmd": "echo ${item} > a-${item}", "outs": ["a-${item}"]}},
    )
    monkeypatch.chdir(project.path)
    project.dvc("repro")
    assert read_order() == STAGES
    shutil.copyfile(LOCK_FILE, project.path.parent / "in_turn.lock")
    LOCK_FILE.unlink()
    for stage in ("a@y", "quick", "a@x", "slow"):
        project.dvc("repro", "--single-item", stage)
    assert read_order() == ["a@y", "quick", "a@x", "slow"]
    return project


def test_what_was_added_comes_in_the_order_of_the_dag(locked: Project) -> None:
    restore_order([], STAGES)
    assert read_order() == STAGES
    assert LOCK_FILE.read_bytes() == (locked.path.parent / "in_turn.lock").read_bytes()
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
