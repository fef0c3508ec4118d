"""Kinds of input: what they cover, and how they are joined, shortened and rounded."""

import numpy as np
import pytest

from failure_atlas.modes.mode import Mode, cover, read_mode
from tests.refusing import refused

NAN = np.nan
VALUES = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [3.0, 9.0], [NAN, 9.0], [3.0, NAN]])
LABELS = np.array([0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("mode", "covered", "conditions"),
    [
        (Mode(), [0, 1, 2, 3, 4, 5], 0),
        (Mode(1), [2, 3, 4, 5], 1),
        (Mode(None, {0: (1.0, None)}), [2, 3, 5], 1),  # above, not at
        (Mode(None, {0: (None, 1.0)}), [0, 1], 1),  # at, too
        (Mode(1, {0: (1.0, 2.0)}), [2], 3),
        (Mode(1, {0: (1.0, None), 1: (6.0, None)}), [3], 3),
    ],
)
def test_what_a_mode_covers_and_how_much_it_says(mode, covered, conditions):
    assert np.flatnonzero(mode.covers(VALUES, LABELS)).tolist() == covered
    assert mode.conditions == conditions


def test_several_are_covered_row_by_row_and_none_has_no_rows():
    modes = [Mode(0), Mode(None, {1: (None, 5.0)})]
    assert [np.flatnonzero(row).tolist() for row in cover(modes, VALUES, LABELS)] == [[0, 1], [0, 1, 2]]
    assert cover([], VALUES, LABELS).shape == (0, 6)


def test_what_is_of_both_kinds_is_covered_by_both():
    outer, inner = Mode(1, {0: (0.2, 0.9), 1: (None, 0.8)}), Mode(None, {0: (0.1, 0.5), 2: (0.3, None)})
    assert outer.intersect(inner) == Mode(1, {0: (0.2, 0.5), 1: (None, 0.8), 2: (0.3, None)})
    assert Mode(None, {0: (0.2, None)}).intersect(Mode(4)) == Mode(4, {0: (0.2, None)})
    random = np.random.default_rng(1)
    values, labels = random.random((500, 3)), random.integers(0, 3, 500)
    both = outer.covers(values, labels) & inner.covers(values, labels)
    assert both.any()
    np.testing.assert_array_equal(outer.intersect(inner).covers(values, labels), both)


def test_each_shorter_mode_says_one_thing_less_and_none_says_nothing():
    mode = Mode(3, {0: (0.1, 0.9), 1: (None, 0.5)})
    assert mode.shorten() == [
        Mode(None, {0: (0.1, 0.9), 1: (None, 0.5)}), Mode(3, {0: (0.1, None), 1: (None, 0.5)}),
        Mode(3, {0: (None, 0.9), 1: (None, 0.5)}), Mode(3, {0: (0.1, 0.9)}),
    ]  # fmt: skip
    assert Mode(3).shorten() == Mode(None, {0: (0.1, None)}).shorten() == []


def test_bounds_are_rounded_each_as_its_attribute_is():
    mode = Mode(2, {0: (0.1234, 1.987), 2: (None, 14.6)})
    assert mode.round(np.array([2, 5, 0])) == Mode(2, {0: (0.12, 1.99), 2: (None, 15.0)})


@pytest.mark.parametrize("mode", [Mode(1, {2: (None, 0.1), 0: (1e-9, 1.0)}), Mode(None, {1: (0.1, None)}), Mode(0)])
def test_what_is_defined_is_read_again_and_nothing_else(mode):
    names = ("noise", "blur", "holes"), ["3", "ä, 8"]
    assert read_mode(mode.define(*names), *names) == mode
    for definition, message in (
        ("nan", "Expecting value"),
        ('["3", {}]', "no class and bounds"),
        ('{"class": "3"}', r"no class and bounds \('bounds'\)"),
        ('{"class": "3", "bounds": {"blur": 1}}', "no class and bounds"),
        ('{"class": "3", "bounds": {"blur": ["1", null]}}', "a bound that is no number"),
        ('{"class": "4", "bounds": {}}', "there is no class 4"),
        ('{"class": null, "bounds": {"slant": [1, null]}}', "there is no attribute slant"),
    ):
        refused(message, read_mode, definition, *names, error=ValueError)
