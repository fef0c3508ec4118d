"""Effects of known differences, the rule, its reach, and its examination on real digits."""

import numpy as np
import pytest
import torch
from scipy import stats

from failure_atlas.attributes.calibration import Scene, calibrate, find_scene, measure_spread
from failure_atlas.attributes.registry import ATTRIBUTES, GREYS, LEAST_SPREAD, NAMES, measure_images
from failure_atlas.directions import naming
from failure_atlas.directions.moves import choose_balanced, find_typical, measure_move
from failure_atlas.directions.naming_check import GROUP_IMAGES, KNOWN_CHANGES, check_naming
from failure_atlas.world.show import World


def effects(**given):
    mean, p = np.zeros(len(NAMES)), np.ones(len(NAMES))
    for name, (value, probability) in given.items():
        mean[NAMES.index(name)], p[NAMES.index(name)] = value, probability
    return naming.Effects(mean, mean - 0.1, mean + 0.1, p, 100)


ONES = np.ones(len(NAMES))
COLOUR_WORDS = {word for m in ATTRIBUTES for word in (m.more, m.less) if m.needs == "colour"}


def test_effects_are_scipys_t_test_of_pairs_with_a_stroke_and_certain_differences_are_certain():
    differences = np.random.default_rng(1).normal(0.3, 1, (40, 3))
    found, twin = naming.estimate_effects(differences), stats.ttest_1samp(differences, 0)
    np.testing.assert_allclose(found.p, twin.pvalue)
    interval = twin.confidence_interval()
    np.testing.assert_allclose([found.low, found.high], [interval.low, interval.high])
    assert found.n == 40
    found = naming.estimate_effects(np.array([[0.1, 0.0], [np.nan, 1.0], [0.1, 0.0], [0.1, 0.0]]))
    np.testing.assert_allclose(found.mean, [0.1, 0])
    np.testing.assert_array_equal(found.p, [0, 1])
    assert found.n == 3
    for few in (np.full((3, 2), np.nan), np.array([[1.0, 2.0]])):
        found = naming.estimate_effects(few)
        np.testing.assert_array_equal(found.p, [1, 1])
        assert np.isnan(found.low).all()


@pytest.mark.parametrize("measurement", [m for m in ATTRIBUTES if m.more], ids=lambda m: m.name)
def test_each_measurement_has_its_two_names(measurement):
    for value, word in ((0.4, measurement.more), (-0.4, measurement.less)):
        name = naming.name_effects(effects(**{measurement.name: (value, 1e-9)}), ONES, 0.05, 0.05)
        assert (name.first, name.second, NAMES[name.measurement]) == (word, "", measurement.name)


def test_the_rule_takes_the_largest_sure_effect_in_spreads():
    given = effects(noise=(0.3, 1e-9), thickness=(2.0, 1e-9), slant=(9.0, 0.5), area=(99.0, 0.0))
    assert naming.name_effects(given, ONES, 0.05, 0.05).first == "thicker stroke"
    spread = ONES.copy()
    spread[NAMES.index("thickness")] = 10
    name = naming.name_effects(given, spread, 0.05, 0.05)
    assert (name.first, name.second) == ("noise +", "")
    spread[NAMES.index("thickness")] = 2 / 0.25
    assert naming.name_effects(given, spread, 0.05, 0.05).second == "thicker stroke"


def test_what_moves_in_no_image_is_no_test_among_others():
    given = effects(pieces=(2.0, 0.0039))
    assert naming.name_effects(given, ONES, 0.05, 0.05).first == naming.SHAPE_CHANGE  # one of sixteen
    still = NAMES.index("cut_off"), NAMES.index("brightness"), *range(GREYS, len(NAMES))
    given.low[[*still]] = given.high[[*still]] = 0
    assert naming.name_effects(given, ONES, 0.05, 0.05).first == "stroke breaks"
    nothing = naming.Effects(*np.zeros((3, len(NAMES))), np.ones(len(NAMES)), 100)
    assert naming.name_effects(nothing, ONES, 0.05, 0.05).first == naming.SHAPE_CHANGE


def test_without_a_sure_or_large_effect_only_the_pixels_speak():
    for given in (effects(noise=(5.0, 0.04)), effects(noise=(0.01, 1e-9)), effects()):
        # One p of 0.04 among thirteen is not sure.
        assert naming.name_effects(given, ONES, 0.05, 0.05).first == naming.SHAPE_CHANGE
        assert naming.name_effects(given, ONES, 0.001, 0.05).first == naming.NO_CHANGE
    unknown = naming.name_effects(effects(noise=(1.0, 1e-9)), np.full(len(NAMES), np.nan), 0.05, 0.05)
    assert unknown.first == naming.SHAPE_CHANGE
    assert naming.name_effects(effects(), ONES, float("nan"), 0.05).first == naming.NO_CHANGE


@pytest.mark.parametrize(
    ("carriers", "reach"), [(10, "global"), (7, "global"), (6, "class-specific"), (1, "class-specific")]
)
def test_reach_is_global_if_seven_of_ten_classes_share_the_effect(carriers, reach):
    labels = np.repeat(np.arange(10), 10)
    noise = np.random.default_rng(1).normal(0, 0.01, 100)
    differences = np.where(labels < carriers, 1.0, -1.0) + noise
    assert naming.find_reach(differences, labels, 10, 1.0, 0.05) == reach
    assert naming.find_reach(-differences, labels, 10, -1.0, 0.05) == reach
    assert naming.find_reach(differences, labels, 10, -1.0, 0.05) == ("global" if carriers <= 3 else "class-specific")


def test_a_weak_effect_that_no_class_shows_alone_is_shared_unless_the_classes_differ():
    labels = np.repeat(np.arange(10), 10)
    noise = np.random.default_rng(1).normal(0, 1, 100)
    noise -= np.repeat(noise.reshape(10, 10).mean(axis=1), 10)  # class means are exact
    shared, carried = noise + 0.3, noise + 3.0 * (labels == 3)
    assert shared.mean() == pytest.approx(carried.mean())
    assert stats.ttest_1samp(shared[:10], 0, alternative="greater").pvalue > 0.05
    assert naming.find_reach(shared, labels, 10, 1.0, 0.05) == "global"
    assert naming.find_reach(carried, labels, 10, 1.0, 0.05) == "class-specific"
    assert naming.find_reach(noise, labels, 10, 1.0, 0.05) == "class-specific"


def test_reach_of_nothing_known_is_not_global():
    labels = np.repeat(np.arange(10), 2)
    for value, count, reach in (  # the last: a class without a sample
        (np.nan, 20, "class-specific"), (0, 20, "class-specific"), (1, 20, "global"), (1, 18, "class-specific")
    ):  # fmt: skip
        assert naming.find_reach(np.full(count, float(value)), labels[:count], 10, 1.0, 0.05) == reach


def test_the_spread_is_that_within_the_classes_and_no_less_than_the_least():
    random, labels = np.random.default_rng(1), np.repeat([0, 1], 500)
    values = random.normal(0, 2, (1000, len(NAMES))) + 100 * labels[:, None]
    np.testing.assert_allclose(measure_spread(values, labels), 2, rtol=0.1)
    values[0] = np.nan
    np.testing.assert_allclose(measure_spread(values * 1e-6, labels), LEAST_SPREAD, atol=1e-5)
    assert np.isnan(measure_spread(values[:2], labels[:2])).all()
    # Where all are alike, their spread is no unit, and a change that nobody sees gets no name.
    assert (LEAST_SPREAD[[NAMES.index(m.name) for m in ATTRIBUTES if m.more]] > 0).all()
    spread = measure_spread(np.zeros((10, len(NAMES))), np.zeros(10, int))
    assert naming.name_effects(effects(slant=(0.1, 0.0)), spread, 0.05, 0.05).first == naming.SHAPE_CHANGE


def test_samples_are_balanced_and_typical_ones_central():
    labels = np.repeat(np.arange(4), 25)
    chosen = choose_balanced(labels, 10, 4, np.random.default_rng(1))
    np.testing.assert_array_equal(np.bincount(labels[chosen]), [3, 3, 2, 2])
    assert len(choose_balanced(labels, 400, 4, np.random.default_rng(1))) == 100
    values = np.array([[0.0, 0], [9, 9], [4, 1], [5, 2], [6, 3], [np.nan, 1]])
    assert find_typical(values, np.array([0.0, 0, 1, 1, 1, np.nan])) == 3


def test_a_linear_generator_gives_its_column_and_no_sample_or_batch_matters():
    """Each pixel is a sum of styles: the central difference per std is the weight times the std, exactly."""
    weights = torch.tensor([0.02, -0.01, 0.0])

    def synthesize(styles):
        return (0.5 + styles @ weights)[:, None, None, None].expand(-1, 1, 4, 4)

    def measure(images):
        return images.mean(axis=(1, 2, 3))[:, None] / 255

    styles = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    for batch_size in (2, 100):
        world = World(synthesize, batch_size=batch_size)
        differences, pixels = measure_move(world, measure, styles, 0, -5.0, 2.0)
        np.testing.assert_allclose(differences[:, 0], -0.1, atol=1 / 255)
        np.testing.assert_allclose(pixels, 0.1, atol=1 / 255)
        assert not np.any([each.any() for each in measure_move(world, measure, styles, 2, 5.0, 2.0)])


@pytest.fixture(scope="module")
def calibration(digits, stream):
    return calibrate(digits[:20], stream)


@pytest.fixture(scope="module")
def check(calibration, digits, stream):
    values = calibration.mend(calibration.measure(digits))
    # Real corrupted images vary in noise and blur, clean ones do not: their units, about as the population has them.
    spread = measure_spread(values, np.zeros(len(values), int))
    units = {"noise": 0.06, "blur": 1.5, "contrast": 0.12, "thickness": 0.9, "holes": 0.39, "pieces": 0.2}
    for name, unit in units.items():
        spread[NAMES.index(name)] = unit
    return check_naming(digits[20:80], calibration, spread, 0.05, stream)


def test_the_rule_names_known_changes_of_real_digits(check):
    everywhere = check[~check["expected"].isin(["hole opens", "hole closes", "stroke breaks", "stroke joins"])]
    of_colour = [known for known in KNOWN_CHANGES if known.name in COLOUR_WORDS]
    assert len(everywhere) == (len(KNOWN_CHANGES) - len(of_colour) - 4) * 6
    groups = check[~check.index.isin(everywhere.index)].groupby("expected").size()
    assert ((groups >= 1) & (groups < 6)).all()  # some digits have a hole, others have none
    assert (check["n"] == GROUP_IMAGES).all()
    assert check["correct"].mean() >= 0.9
    of_name = check.groupby("expected")["correct"].mean()
    assert (of_name >= 0.8).all(), of_name


def test_a_change_that_fewer_than_ten_images_suit_is_not_examined(calibration, digits, stream):
    alike = np.repeat(digits[20:21], GROUP_IMAGES, axis=0)
    has_hole = measure_images(alike)[0, NAMES.index("holes")] >= 1
    found = check_naming(alike, calibration, np.ones(GREYS), 0.05, stream)
    grey = [known for known in KNOWN_CHANGES if known.name not in COLOUR_WORDS]
    fit = {(known.name, known.text) for known in grey if known.holes in (None, has_hole)}
    assert len(fit) < len(KNOWN_CHANGES)
    assert set(zip(found["expected"], found["change"], strict=True)) == fit


def test_every_change_has_a_name_that_the_rule_can_give():
    words = {word for m in ATTRIBUTES for word in (m.more, m.less)}
    # Every name is examined, and that what is not there gets none.
    assert words - {""} | {naming.NO_CHANGE, naming.SHAPE_CHANGE} == {known.name for known in KNOWN_CHANGES}


def paint(kind, count=80, size=32):
    """Coloured images in which nothing, something, or a stroke has a shape: uint8 [N, 3, 32, 32]."""
    random = np.random.default_rng(4)
    colours = random.uniform(60, 255, (count, 3, 1, 1)) * random.choice([0.2, 1], (count, 3, 1, 1))
    colours[:, 0] = np.maximum(colours[:, 0], 90)
    if kind == "patches":
        cells = random.uniform(0.3, 1, (count, 3, 4, 4)).repeat(size // 4, 2).repeat(size // 4, 3)
        return (cells * colours).astype(np.uint8)
    if kind == "even patches":
        return np.broadcast_to(colours, (count, 3, size, size)).astype(np.uint8)
    images = np.zeros((count, 3, size, size))
    for image, colour in zip(images, colours, strict=True):
        height, width, y, x = *random.integers(16, 21, 2), *random.integers(4, 9, 2)
        image[:, y : y + height, x : x + width] = colour
        if kind == "rings":
            image[:, y + 3 : y + height - 3, x + 3 : x + width - 3] = 0
    return images.astype(np.uint8)


SCENES = {"patches": "none", "even patches": "none", "boxes": "figures", "rings": "strokes"}


@pytest.mark.parametrize(("kind", "words"), SCENES.items())
def test_a_scene_has_the_words_that_mean_something_in_it(kind, words):
    images = paint(kind)
    assert find_scene(images).shape_words == words
    assert naming.name_rest(find_scene(images)) == naming.OTHER_CHANGE  # need not be a shape
    grey = find_scene(images[:, :1])
    assert grey.shape_words == words
    assert naming.name_rest(grey) == (naming.OTHER_CHANGE if words == "none" else naming.SHAPE_CHANGE)


def test_digits_are_strokes_dark_ones_are_not(digits):
    assert (find_scene(digits), find_scene(np.repeat(digits, 3, axis=1))) == (Scene(), Scene(colours=True))
    assert find_scene(255 - digits).shape_words == "none"  # shape is that of light things


@pytest.mark.parametrize(("kind", "words"), SCENES.items())
def test_changes_of_colour_are_named_as_such_and_none_as_a_shape_that_is_not_there(kind, words, stream):
    images = paint(kind)
    scene = find_scene(images)
    calibration = calibrate(images[:20], stream, scene=scene)
    values = calibration.mend(calibration.measure(images))
    spread = scene.keep(measure_spread(values, np.zeros(80, int)))
    check = check_naming(images[20:], calibration, spread, 0.05, stream)
    of_colour = check[check["expected"].isin(COLOUR_WORDS)]
    assert set(of_colour["expected"]) == COLOUR_WORDS
    assert of_colour["correct"].mean() >= 0.8
    meaningless = {
        word for m in ATTRIBUTES for word in (m.more, m.less)
        if m.needs in {"none": ("figure", "stroke"), "figures": ("stroke",), "strokes": ()}[words]
    }  # fmt: skip
    assert not (meaningless - {""}) & ({*check["named"], *check["second_name"]} | {*check["expected"]})
    assert naming.SHAPE_CHANGE not in {*check["named"], *check["expected"]}
