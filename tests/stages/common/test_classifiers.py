"""The mapping `classifiers`, and paths that hold a classifier's name. Its faults: tests/stages/test_params_check.py."""

from pathlib import Path

import pytest

from failure_atlas.core.errors import StageError
from stages.common.classifiers import expand_paths, read_classifiers


def test_names_come_in_the_order_of_the_file_with_their_sections(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text(
        "classifiers: {b: train_classifiers, a: bring_classifiers}\n"
        "train_classifiers: {b: {}, unused: {}}\n"
        "bring_classifiers: {a: {}}\n",
        encoding="utf-8",
    )
    assert list(read_classifiers(params).items()) == [("b", "train_classifiers"), ("a", "bring_classifiers")]


def test_a_section_that_is_not_there_has_no_entries(write_params):
    params = write_params({"classifiers": {"a": "bring_classifiers"}})
    with pytest.raises(StageError, match=r"classifiers\.a: bring_classifiers has no entry 'a'; .* there: none"):
        read_classifiers(params)


def test_paths_are_filled_in():
    names = {"a": "train_classifiers", "b": "bring_classifiers"}
    assert expand_paths("data/{section}/{name}/{name}.csv", names, "--x") == {
        "a": Path("data/train_classifiers/a/a.csv"), "b": Path("data/bring_classifiers/b/b.csv"),
    }  # fmt: skip
    with pytest.raises(StageError, match=r"--x: got 'data/\{section\}'; allowed: a path with \{name\} in it"):
        expand_paths("data/{section}", names, "--x")
