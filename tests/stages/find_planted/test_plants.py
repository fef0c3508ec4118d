"""Planted spots, whether modes have found them, and the other measurements against drawn shapes."""

import numpy as np
import pytest

from stages.find_planted.measures import MEASURES, measure_otherwise
from stages.find_planted.plants import APART, KINDS, Plant, Pool, draw_failures, draw_plants, measure_overlap
from tests.stages.find_planted.bars import draw_bar

INF = np.inf
LABELS = np.array([1, 1, 2, 3, 3])
SMALL = Pool(np.zeros((5, 1)), LABELS, {"noise": np.array([0.1, 0.3, 0.3, np.nan, 0.5])}, np.arange(5))


@pytest.fixture(scope="module")
def pool():
    """Measured levels, one that is missing in places, and severities of 0 to 3."""
    random = np.random.default_rng(1)
    levels = {"a": random.random(5000), "b": random.normal(size=5000), "severity": random.integers(0, 4, 5000) * 1.0}
    levels["b"][:50] = np.nan
    return Pool(np.zeros((5000, 1)), random.integers(0, 10, 5000), levels, np.arange(5000) // 2)


@pytest.mark.parametrize(
    ("plant", "covered", "told"),
    [
        (Plant((), "noise", 0.1, INF), [1, 2, 4], "noise above 0.1"),
        (Plant((3,), "noise", -INF, 0.5), [4], "3, noise not above 0.5"),
        (Plant((1, 2), "noise", 0.1, 0.3), [1, 2], "1 or 2, noise above 0.1 and not above 0.3"),
    ],
)
def test_a_plant_fires_above_one_bound_and_up_to_the_other(plant, covered, told):
    assert np.flatnonzero(plant.covers(SMALL)).tolist() == covered
    assert plant.tell() == told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("supports", [(0.02, 0.05), (0.05, 0.2)])
def test_plants_are_of_their_kind_as_large_as_asked_and_apart(pool, kind, supports):
    random, names = np.random.default_rng(1), set()
    for _ in range(20):
        plants = draw_plants(pool, kind, supports, random)
        assert tuple(len(plant.classes) for plant in plants) == KINDS[kind]
        names |= {plant.name for plant in plants}
        masks = [plant.covers(pool) for plant in plants]
        assert all(supports[0] <= mask.mean() <= 1.5 * supports[1] for mask in masks)
        for own, other in zip(masks, masks[::-1], strict=True) if len(masks) == 2 else ():
            assert np.mean(own & ~other) >= APART * own.mean()
    assert len(names) > 1 or not KINDS[kind], "levels are drawn, too"


def test_two_spots_on_one_level_are_apart(pool):
    only, random = Pool(pool.looks, pool.true_class % 2, {"a": pool.levels["a"]}, pool.origin), np.random.default_rng(1)
    for _ in range(20):
        first, second = (plant.covers(only) for plant in draw_plants(only, "two spots", (0.05, 0.2), random))
        assert min(np.mean(~second[first]), np.mean(~first[second])) >= 0.5 == APART


def test_severities_are_cut_between_two_of_them_and_a_support_that_none_has_is_refused(pool):
    only = Pool(pool.looks, pool.true_class, {"severity": pool.levels["severity"]}, pool.origin)
    random = np.random.default_rng(1)
    bounds = {
        (plant.low, plant.high) for _ in range(30) for plant in draw_plants(only, "condition", (0.2, 0.4), random)
    }
    assert bounds == {(0.5, 1.5), (1.5, 2.5), (1.5, INF), (2.5, INF)}
    with pytest.raises(ValueError, match="no condition of a support in"):
        draw_plants(only, "condition", (0.02, 0.05), random)


def test_images_of_one_origin_are_on_one_side(pool):
    half = pool.split(np.random.default_rng(1))
    assert (half[::2] == half[1::2]).all()
    assert half.mean() == pytest.approx(0.5, abs=0.03)


def test_failures_have_the_rates_that_were_asked_for(pool):
    first, second = Plant((), "a", 0.7, INF), Plant((), "a", 0.9, INF)
    chance, failed = draw_failures(pool, [first, second], 0.1, 0.8, np.random.default_rng(2))
    expected = np.array([0.1, 1 - 0.9 * 0.2, 1 - 0.9 * 0.2 * 0.2])
    place = first.covers(pool) * 1 + second.covers(pool)
    np.testing.assert_allclose(chance, expected[place])
    np.testing.assert_allclose([failed[place == each].mean() for each in range(3)], expected, atol=0.03)


def rows(*ranges):
    held = np.zeros(100, bool)
    for first, last in ranges:
        held[first:last] = True
    return held


@pytest.mark.parametrize(
    ("modes", "overlap"),
    [
        ([], 0.0),
        ([rows((50, 60))], 0.0),
        ([rows((0, 20))], 0.5),
        ([rows((0, 20)), rows((20, 36))], 0.9),  # both say it: 36 of 40
        ([rows((0, 20)), rows((30, 60))], 0.5),  # the second says mostly something else
        ([rows((0, 20)), rows((30, 50))], 0.6),  # half of it is in the spot: 30 of 50
        ([rows((0, 40)), rows((39, 41))], 1.0),  # the better of one and of all
        ([rows()], 0.0),
    ],
)
def test_overlap_is_with_the_best_mode_or_with_all_that_say_the_spot(modes, overlap):
    assert measure_overlap(rows((0, 40)), np.array(modes, bool).reshape(-1, 100)) == pytest.approx(overlap)


def measure(image, noise=0.0):
    """Means over ten draws of the noise."""
    drawn = noise * np.random.default_rng(1).standard_normal((10, 1, *image.shape))
    values = measure_otherwise((np.clip(image + drawn, 0, 1) * 255).round().astype(np.uint8))
    assert tuple(values) == MEASURES
    return {name: value.mean() for name, value in values.items()}


@pytest.mark.parametrize("thickness", [2.0, 4.0, 6.0])
def test_height_width_and_contrast_of_a_bar(thickness):
    told = measure(draw_bar(thickness))
    assert told["aspect"] == pytest.approx(20 / thickness, rel=0.2)
    assert told["size"] == pytest.approx(np.sqrt(20 * thickness), rel=0.2)
    assert measure(0.5 * draw_bar(thickness))["contrast"] == pytest.approx(told["contrast"] / 2, rel=0.05)


@pytest.mark.parametrize("degrees", [0, 20])
def test_thickness_is_that_of_the_bar_wherever_it_lies_between_pixels(degrees):
    told = [
        np.mean([measure(draw_bar(thickness, 24.0, degrees, x))["thickness"] for x in (0, 0.25, 0.5, 0.75)])
        for thickness in (2.0, 3.0, 4.0, 5.0)
    ]
    assert (np.diff(told) > 0.3).all()
    assert told[1:] == pytest.approx([3, 4, 5], rel=0.2)


@pytest.mark.parametrize("degrees", [-60, -30, 0, 30, 60])
def test_a_bar_leans_as_it_was_drawn(degrees):
    assert measure(draw_bar(4, degrees=degrees))["rotation"] == pytest.approx(degrees, abs=3)


@pytest.mark.parametrize("sigma", [0.03, 0.08, 0.15])
def test_noise_is_read_whether_or_not_a_bar_is_there(sigma):
    for bar in (0.0, 0.4):
        told = measure(0.3 + bar * draw_bar(4), sigma)
        assert told["noise"] == pytest.approx(sigma, rel=0.1)


def test_specks_do_not_count_and_an_empty_image_has_no_figure():
    bar = draw_bar(5, 22)
    specked = bar.copy()
    specked[2:4, 2:4] = specked[28:30, 28:30] = 1
    assert measure(specked) == pytest.approx(measure(bar), rel=0.02)
    empty = measure(np.full((32, 32), 0.2))
    assert empty["noise"] == 0
    assert np.isnan([value for name, value in empty.items() if name != "noise"]).all()


def test_of_colours_the_mean_is_measured_and_each_image_is_told():
    told, bar = [], (draw_bar(4) * 255).astype(np.uint8)
    colours = np.stack([bar // 3, bar, bar // 2])[None]
    values = measure_otherwise(np.repeat(colours, 3, axis=0), told.append)
    assert told == [1, 1, 1]
    grey = colours[0].mean(axis=0) / 255
    assert values["contrast"][2] == pytest.approx(measure(grey)["contrast"], abs=0.01)
