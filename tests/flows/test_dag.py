"""The DAG as DVC reads it, what has changed, and dvc.lock in its order, however stages overtake each other."""

import json
import re
import shutil
from pathlib import Path

import pytest

from flows.dag import LOCK_FILE, Dag, read_all_changes, read_changes, read_dag, read_order, restore_order
from flows.errors import FlowError
from tests.flows.conftest import Project, stage

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
        report=stage("cat clean corrupted > report", "report", "clean corrupted"),
        train={"foreach": ["clean", "corrupted"], "do": stage("cp raw ${item}", "${item}", "raw")},
        prepare=stage("echo raw > raw", "raw"),
        alone=stage("echo alone > alone", "alone"),
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


def test_the_order_of_dvc_lock_however_stages_overtake_each_other(toy: Project) -> None:
    assert read_order() == []
    restore_order([], ["prepare"])
    assert not LOCK_FILE.exists(), "nothing to order"
    toy.dvc("repro")
    stages, in_turn = read_order(), LOCK_FILE.read_bytes()
    assert sorted(stages) == sorted(read_dag().stages)
    overtaken = [*stages[3:], *stages[2::-1]]
    LOCK_FILE.unlink()
    toy.dvc("repro", "--single-item", *overtaken)
    assert read_order() == overtaken
    mixed = LOCK_FILE.read_bytes()

    restore_order([], stages)
    assert LOCK_FILE.read_bytes() == in_turn, "what was added comes in the order of the DAG"
    assert "up to date" in toy.dvc("status")
    LOCK_FILE.write_bytes(mixed)
    restore_order(["gone", *overtaken[:2]], stages)
    expected = [*overtaken[:2], *(stage for stage in stages if stage not in overtaken[:2])]
    assert read_order() == expected, "what was there stays where it was"
    before = LOCK_FILE.stat()
    restore_order(overtaken[:2], stages)
    assert LOCK_FILE.stat().st_mtime_ns == before.st_mtime_ns, "nothing is written where nothing moves"
