"""Differences of plain values."""

import math

import pytest
from scipy import stats

from flows.compare.differences import (
    APART_BY_CHANCE,
    Change,
    Direction,
    Move,
    Number,
    diff_directions,
    diff_flat,
    diff_numbers,
    flatten,
    read_lock,
    read_numbers,
)


def test_flat_keys_and_lists_by_name() -> None:
    nested = {"a": {"b": 1, "c": [1, 2]}, "d": [{"id": "x", "bar": 1}, {"id": "y", "bar": 2}], "e": {}, "f": None}
    assert flatten(nested) == {"a.b": 1, "a.c": [1, 2], "d.x.bar": 1, "d.y.bar": 2, "e": {}, "f": None}
    twice = [{"id": "x", "bar": 1}, {"id": "x", "bar": 2}]
    assert flatten({"d": twice}) == {"d": twice}
    assert flatten({}) == {}


def test_changes_tell_added_and_gone_keys_from_null() -> None:
    old, new = {"same": 1, "gone": 2, "null": None}, {"same": 1, "moved": 3}
    assert diff_flat(old, new) == [Change("moved", None, 3), Change("gone", 2, None), Change("null", None, None)]


@pytest.mark.parametrize(
    ("old", "new", "move"),
    [
        ((0.5, 0.4, 0.6), (0.8, 0.7, 0.9), Move.BEYOND),
        ((0.8, 0.7, 0.9), (0.5, 0.4, 0.6), Move.BEYOND),
        ((0.5, 0.4, 0.6), (0.7, 0.6, 0.8), Move.WITHIN),
        ((0.5, 0.4, None), (0.8, 0.7, 0.9), Move.WITHIN),
        ((0.5, 0.4, None), (0.2, 0.1, 0.3), Move.BEYOND),
        ((None, None, None), (0.2, 0.1, 0.3), Move.WITHIN),
    ],
)
def test_intervals_that_lie_apart(old: tuple[float, float, float], new: tuple[float, float, float], move: Move) -> None:
    numbers = [{"a": Number(*side, n=10, has_interval=True)} for side in (old, new)]
    (moved,) = diff_numbers(*numbers)
    assert moved.move is move
    assert diff_numbers(numbers[0], numbers[0]) == []
    (bare,) = diff_numbers({"a": Number(1.0)}, numbers[1])
    assert bare.move is Move.UNKNOWN
    assert diff_numbers({"b": Number(1.0)}, numbers[1]) == [], "on one side only"


def test_how_often_intervals_lie_apart_by_chance() -> None:
    z = stats.norm.ppf(0.975)
    assert math.isclose(APART_BY_CHANCE, 2 * stats.norm.sf(2 * z / math.sqrt(2)), rel_tol=1e-6)


def test_numbers_with_their_intervals_in_both_forms() -> None:
    metrics = {
        "a": {"value": 1, "low": 0, "high": None, "n": 5}, "b": 2.0, "b_interval": {"low": 1, "high": 3, "n": 6},
        "deep": {"c": 3, "word": "x", "flag": True}, "none": None, "list": [1, 2], "lone_interval": {"low": 1},
    }  # fmt: skip
    assert read_numbers(metrics) == {
        "a": Number(1, 0, None, 5, has_interval=True), "b": Number(2.0, 1, 3, 6, has_interval=True),
        "deep.c": Number(3), "none": Number(None), "lone_interval.low": Number(1),
    }  # fmt: skip


def test_a_lock_sorts_inputs_code_and_results() -> None:
    lock = {
        "stages": {
            "a": {
                "cmd": "python   a.py", "params": {"params.yaml": {"a": {"x": 1}}},
                "deps": [{"path": "a.py", "md5": "1"}, {"path": "in", "md5": "2"}],
                "outs": [{"path": "d/a", "md5": "3.dir"}],
            },
            "b": {
                "cmd": ["one", "two"],
                "deps": [{"path": "d/a/part", "md5": "4"}, {"path": "a.py", "md5": "9"}],
                "outs": [{"path": "b", "md5": "5"}],
            },
        }
    }  # fmt: skip
    found = read_lock(lock)
    assert found.inputs == {"in": "2"}
    assert found.code == {"a.py": "1 and 9"}, "stages were last run with different states of it"
    assert found.results == {"d/a": "3.dir", "b": "5"}
    assert found.commands == {"a": "python a.py", "b": "one; two"}
    assert found.params == {"a.x": 1}
    assert read_lock({}).results == {}


def test_directions_enter_leave_and_turn() -> None:
    old = [Direction(1, 1), Direction(2, 1), Direction(3, -1)]
    new = [Direction(3, -1), Direction(2, -1), Direction(4, 1)]
    assert diff_directions(old, new) == ([Direction(4, 1)], [Direction(1, 1)], [Direction(2, -1)])
    assert diff_directions(old, old[::-1]) == ([], [], [])
