"""Copies: which one is kept, against a slow twin; classes with too few images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.core.errors import StageError
from failure_atlas.images.frame import (
    KINDS,
    Label,
    check_class_sizes,
    count_problems,
    describe_problems,
    find_copies,
    tabulate_problems,
    with_action,
)

IMAGES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(["train", "test"])), max_size=12)


def labelled(rows):
    images = np.array([pixel for pixel, _, _ in rows], np.uint8).reshape(-1, 1, 1, 1)
    return images, [Label(split, f"{split}/{row}", name) for row, (_, name, split) in enumerate(rows)]


def tell_slowly(rows, index):
    """Kind of one image's problem, or None, by looking at all others."""
    pixel, name, split = rows[index]
    copies = [(other, at) for at, other in enumerate(rows) if at != index and other[0] == pixel]
    if any(other[1] != name for other, _ in copies):
        return "conflict"
    if split == "train" and any(other[2] == "test" for other, _ in copies):
        return "leak"
    return "duplicate" if any(other[2] == split and at < index for other, at in copies) else None


@settings(max_examples=100, deadline=None)
@given(IMAGES)
def test_copies_are_told_as_a_slow_twin_tells_them(rows):
    found = find_copies(*labelled(rows))
    expected = {index: tell_slowly(rows, index) for index in range(len(rows))}
    assert {index: problem.kind for index, problem in found.items()} == {
        index: kind for index, kind in expected.items() if kind
    }
    left = [row for index, row in enumerate(rows) if index not in found]
    assert len({pixel for pixel, _, _ in left}) == len(left)  # nothing occurs twice after dropping


def test_details_name_the_other_image():
    rows = [
        (1, "a", "train"),
        (1, "a", "train"),
        (2, "a", "train"),
        (2, "a", "test"),
        (3, "a", "test"),
        (3, "b", "test"),
    ]
    found = find_copies(*labelled(rows))
    assert {index: (problem.kind, problem.detail) for index, problem in found.items()} == {
        1: ("duplicate", "same pixels as train/0"),
        2: ("leak", "same pixels as the test image test/3"),
        4: ("conflict", "same pixels as test image test/5, which is of class 'b'"),
        5: ("conflict", "same pixels as test image test/4, which is of class 'a'"),
    }
    table = tabulate_problems(with_action(list(found.values()), "kept"))
    assert list(table.columns) == ["split", "image", "class", "problem", "detail", "action"]
    assert table.iloc[0].tolist() == ["train", "train/1", "a", "duplicate", "same pixels as train/0", "kept"]
    assert count_problems(list(found.values())) == dict.fromkeys(KINDS, 0) | {"duplicate": 1, "leak": 1, "conflict": 2}
    assert describe_problems(list(found.values())).startswith(
        "1 duplicate, 1 leak, 2 conflict. First: train image train/1: duplicate (same pixels as train/0); "
    )


def test_no_problem_is_a_table_without_rows():
    assert list(tabulate_problems([]).columns) == ["split", "image", "class", "problem", "detail", "action"]


def test_small_classes_are_named():
    check_class_sizes({"a": (10, 2)}, 10, 2)
    counts = {"a": (9, 5), "b": (10, 2), "c": (50, 1), "d": (0, 0), "e": (0, 9)}
    with pytest.raises(
        StageError,
        match=r"^4 of 5 classes have too few images: 'a' \(9 training, 5 test\), 'c' \(50 training, 1 test\), 'd' "
        r"\(0 training, 0 test\) and 1 more; each needs at least 10 for training and 2 for testing: add images",
    ):
        check_class_sizes(counts, 10, 2)
