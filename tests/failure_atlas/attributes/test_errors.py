"""Known changes of known amounts, read back from real digits, from coloured ones and from images without figures."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.attributes.calibration import calibrate, find_scene
from failure_atlas.attributes.errors import KNOWN_AMOUNTS, UNBLURRED, measure_errors, state_errors
from failure_atlas.attributes.registry import ATTRIBUTES, GREYS, NAMES, REGISTRY

LEARNED, EXAMINED = 40, 60
# What is stated in docs/attributes.md, of other digits: root mean square over all known changes, for one image.
STATED = {
    "noise": 0.02, "blur": 0.4, "contrast": 0.15, "brightness": 0.01, "thickness": 0.8, "slant": 2.5, "size": 0.5,
    "aspect": 0.4, "x": 0.3, "y": 0.4, "holes": 0.4, "pieces": 0.2, "area": 15, "length": 6, "rotation": 7,
    "cut_off": 0.02, "height": 0.35, "width": 0.35, "elongation": 0.06,
}  # fmt: skip
# In the mean over images a change is read as what it was: attribute, change, share of it that may be missing. What is
# nearly a loop is one to an outline of two steps per pixel, and none to one of four.
MEANS = [
    *[("noise", f"noise of sigma {sigma:g}", 0.1) for sigma in (0.05, 0.08, 0.12, 0.18, 0.26)],
    *[("blur", f"blur of {px:g} px", off) for px, off in ((0.5, 0.3), (1, 0.1), (1.5, 0.1), (2, 0.1), (3, 0.12))],
    ("contrast", "contrast times 0.7", 0.02), ("brightness", "grey raised by 0.2", 0.01),
    ("slant", "sheared by 0.2", 0.06), ("slant", "sheared by -0.2", 0.06), ("rotation", "turned by 15 degrees", 0.04),
    ("size", "strokes scaled by 1.2", 0.06), ("size", "strokes scaled by 0.8", 0.06),
    ("area", "strokes scaled by 1.2", 0.2), ("length", "strokes scaled by 1.2", 0.25),
    ("aspect", "height times 1.15, width over 1.15", 0.15), ("x", "shifted by 1.5 px to the right", 0.03),
    ("y", "shifted by 1.5 px down", 0.03), ("thickness", "dilated by 1 px", 0.35), ("holes", "holes filled", 0.15),
    ("height", "strokes scaled by 1.2", 0.06), ("width", "strokes scaled by 0.8", 0.06),
    ("elongation", "height times 1.15, width over 1.15", 0.06), ("pieces", "a gap across the stroke", 0.05),
    ("cut_off", "half cut off at the bottom", 0.1), ("cut_off", "half cut off on the right", 0.1),
]  # fmt: skip


def measure(images, stream):
    calibration = calibrate(images[:LEARNED], stream, scene=find_scene(images))
    return measure_errors(images[LEARNED : LEARNED + EXAMINED], calibration, stream)


@pytest.fixture(scope="module")
def errors(digits, stream):
    return measure(digits, stream)


def test_every_attribute_is_read_within_its_stated_error(errors):
    stated = state_errors(errors).set_index("attribute")
    assert list(stated.index) == list(NAMES[:GREYS])
    for name, most in STATED.items():
        assert 0 < stated.loc[name, "error"] < most, name
    assert (stated["error"] <= stated["largest_error"]).all()
    assert (errors["unit"] == [REGISTRY[name].unit for name in errors["attribute"]]).all()


@pytest.mark.parametrize(("name", "change", "off"), MEANS)
def test_a_known_amount_is_read_in_the_mean(errors, name, change, off):
    rows = errors[(errors["attribute"] == name) & (errors["change"] == change)]
    (row,) = rows.to_dict("records")
    assert row["read"] == pytest.approx(row["applied"], rel=off)
    assert row["read_low"] <= row["read"] <= row["read_high"]
    assert row["error"] >= abs(row["read"] - row["applied"]) - 1e-9
    assert 1 < row["n"] <= EXAMINED


def test_the_amounts_are_those_that_the_words_say(errors):
    applied = errors.set_index(["attribute", "change"])["applied"]
    assert applied["slant", "sheared by 0.2"] == pytest.approx(np.degrees(np.arctan(0.2)), rel=0.15)
    assert applied["pieces", "a gap across the stroke"] > 0.8
    assert applied["holes", "holes filled"] < -0.9
    assert 0.1 < applied["cut_off", "half cut off at the bottom"] < 0.3
    assert applied["thickness", "strokes scaled by 1.2"] == pytest.approx(
        0.2 * applied["thickness", "drawn anew, in full grey"]
    )
    assert applied["area", "strokes scaled by 1.2"] == pytest.approx(0.44 * applied["area", "drawn anew, in full grey"])
    levels = {"noise", "blur"}
    for change, still in (
        ("noise of sigma 0.12", {*NAMES[:GREYS]}), ("blur of 1.5 px", {*UNBLURRED}),
        ("blur of 1.5 px, noise of sigma 0.12", {*UNBLURRED}),
    ):  # fmt: skip
        own = errors[errors["change"] == change]
        assert set(own["attribute"]) == still | levels, "a blurred stroke is thicker, which is no error"
        assert not own.loc[~own["attribute"].isin(levels), "applied"].any()


def test_every_attribute_has_a_change_that_moves_it():
    moved = {name for known in KNOWN_AMOUNTS[12:] for name in known.amounts} | {"noise", "blur"}
    assert moved == set(NAMES)


@pytest.mark.parametrize("kind", ["digits", "patches"])
def test_colours_are_read_as_they_were_changed_with_figures_and_without(digits, stream, kind):
    random = np.random.default_rng(4)
    if kind == "digits":
        colours = random.uniform(0.4, 0.75, (len(digits), 3, 1, 1))
        images = (np.repeat(digits, 3, axis=1) * colours).astype(np.uint8)
    else:
        images = random.uniform(40, 190, (100, 3, 4, 4)).repeat(8, 2).repeat(8, 3).astype(np.uint8)
    errors = measure(images, stream)
    present = {each.name for each in ATTRIBUTES if kind == "digits" or each.needs in ("", "colour")}
    assert set(errors["attribute"]) == present
    for name, change in (
        ("red_green", "red times 1.3, as bright as before"),
        ("blue_yellow", "blue times 1.3, as bright as before"),
        ("saturation", "half as far from grey"),
    ):
        (row,) = errors[(errors["attribute"] == name) & (errors["change"] == change)].to_dict("records")
        assert row["read"] == pytest.approx(row["applied"], rel=0.12), name
        assert abs(row["applied"]) > 0.02, name
    for name, change, off in (("contrast", "contrast times 0.7", 0.05), ("brightness", "grey raised by 0.2", 0.02)):
        (row,) = errors[(errors["attribute"] == name) & (errors["change"] == change)].to_dict("records")
        assert row["read"] == pytest.approx(row["applied"], rel=off), name


def test_what_is_read_of_no_image_states_no_error():
    rows = {"attribute": ["noise", "noise", "holes"], "change": ["a", "b", "c"], "n": [4, 2, 0]}
    stated = state_errors(pd.DataFrame(rows | {"error": [0.3, 0.4, np.nan]}))
    assert stated.to_dict("records") == [
        {"attribute": "noise", "error": pytest.approx(0.125**0.5), "n": 6, "largest_error": 0.4, "worst_change": "b"}
    ]
