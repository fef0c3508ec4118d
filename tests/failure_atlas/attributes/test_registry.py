"""The registry: what an entry says aloud, one more entry, and that a batch is no more than its images."""

import numpy as np
import pytest

from failure_atlas.attributes.registry import (
    ATTRIBUTES,
    FIGURE,
    NAMES,
    REGISTRY,
    Attribute,
    choose_attributes,
    measure_images,
)
from failure_atlas.attributes.view import View

TOLD = [
    ("noise", 0.12, None, "noise above 0.12"),
    ("blur", None, 0.84, "blur below 0.84 px"),
    ("blur", None, 0.8, "blur below 0.8 px"),
    ("blur", 0.84, 2.0, "blur between 0.84 and 2.0 px"),
    ("contrast", None, 0.352, "contrast below 0.352"),
    ("thickness", 3.1, None, "stroke thicker than 3.1 px"),
    ("thickness", None, 3.1, "stroke thinner than 3.1 px"),
    ("thickness", 2.0, 3.1, "stroke thickness between 2.0 and 3.1 px"),
    ("slant", -5.2, 12.4, "slant between -5.2 and 12.4 degrees"),
    ("slant", -0.0, 12, "slant between 0 and 12 degrees"),
    ("aspect", 1.6, None, "height over width above 1.60"),
    ("cut_off", 0.1, None, "share of the outline on the frame above 0.10"),
    ("holes", None, 0.5, "without a hole"),
    ("holes", 0.5, None, "at least 1 hole"),
    ("holes", 1.5, None, "at least 2 holes"),
    ("holes", None, 1.5, "at most 1 hole"),
    ("holes", 0.5, 1.5, "exactly 1 hole"),
    ("holes", 0.5, 2.5, "1 to 2 holes"),
    ("pieces", 1.5, None, "at least 2 pieces"),
    ("pieces", None, 1.5, "exactly 1 piece"),
    ("pieces", None, 2.5, "at most 2 pieces"),
    ("red_green", 0.05, None, "red less green above 0.05"),
]


@pytest.mark.parametrize(("name", "low", "high", "words"), TOLD)
def test_a_condition_is_told_aloud(name, low, high, words):
    assert REGISTRY[name].tell_condition(low, high) == words


def test_a_condition_without_bounds_is_none():
    with pytest.raises(ValueError, match=r"noise: a condition has at least one bound"):
        REGISTRY["noise"].tell_condition()


def test_names_and_words_are_told_apart():
    words = [word for each in ATTRIBUTES for word in (each.more, each.less) if word]
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(words)) == len(words)
    assert all(bool(each.more) == bool(each.less) == (each.least_spread > 0) for each in ATTRIBUTES)
    assert [each.needs == "colour" for each in ATTRIBUTES] == sorted(each.needs == "colour" for each in ATTRIBUTES)
    assert choose_attributes(3) == ATTRIBUTES
    assert {each.needs for each in choose_attributes(1)} == {"", "figure", "stroke"}


@pytest.mark.parametrize("kind", ["grey", "colour", "whole"])
def test_a_batch_of_any_size_gives_the_same_bytes(digits, kind):
    images = digits if kind == "grey" else np.repeat(digits, 3, axis=1) // np.array([1, 2, 3])[:, None, None]
    images = images.astype(np.uint8)
    together = measure_images(images, figures=kind != "whole")
    for size in (1, 7, 61):
        parts = [measure_images(images[i : i + size], figures=kind != "whole") for i in range(0, len(images), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    backwards = measure_images(images, figures=kind != "whole", attributes=choose_attributes(images.shape[1])[::-1])
    np.testing.assert_array_equal(backwards[:, ::-1], together)  # none leaves a trace on what others share


def test_one_more_attribute_is_an_entry_and_a_function(draw_bar):
    def measure_top_share(view: View) -> np.ndarray:
        mask = view.outlines.mask
        return np.asarray(mask[:, : mask.shape[1] // 2].sum(axis=(1, 2)) / mask.sum(axis=(1, 2)))

    own = Attribute("top_share", "share of the ink", measure_top_share, "top-heavy", "bottom-heavy", 0.05, FIGURE)
    images = (255 * np.stack([draw_bar(length=12, y=y) for y in (7.5, 15.5, 18.5)])[:, None]).astype(np.uint8)
    found = measure_images(images, attributes=[own, REGISTRY["y"]])
    np.testing.assert_allclose(found, [[1, 7.5], [0.5, 15.5], [0.25, 18.5]], atol=0.04)
    assert own.tell_condition(low=0.6) == "top share above 0.60"
    assert not measure_images(images, attributes=[own], figures=False).any()
