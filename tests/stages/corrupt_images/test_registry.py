"""What holds of every corruption in the registry, and how a recipe is applied."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from failure_atlas.core.seeds import numpy_stream, torch_stream
from failure_atlas.corruptions import registry
from failure_atlas.corruptions.corruptions import corrupt, draw_severities
from failure_atlas.corruptions.registry import CIFAR_C, IMAGENET_C, REGISTRY, choose_steps
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.refusing import refused

CITED = (registry.IMAGENET_C, registry.TINY_IMAGENET_C, registry.CIFAR_C, registry.MNIST_C)
EVERY = [(name, table) for name, entry in registry.REGISTRY.items() for table in entry.tables]
PUBLISHED = Path(__file__).with_name("published.yaml")
# The published constants of these do not all rise with the severity.
NOT_ORDERED = {"glass_blur", "spatter", "elastic_transform", "saturate"}


def stream(key, index):
    return torch_stream(2, "test", key, index)


def draw_images(n=12, channels=1):
    """Soft strokes on black."""
    y, x = np.mgrid[:32, :32]
    random = np.random.default_rng(6)
    images = np.zeros((n, channels, 32, 32))
    for image in images:
        for _ in range(3):
            angle, offset = random.uniform(0, np.pi), random.uniform(-6, 6)
            distance = np.abs((x - 16) * np.cos(angle) + (y - 16) * np.sin(angle) - offset)
            near = np.hypot(x - 16, y - 16) < 11
            image += np.clip(2.2 - distance, 0, 1) * near * random.uniform(0.5, 1, (channels, 1, 1))
    return (np.clip(images, 0, 1) * 255).astype(np.uint8)


def channels_of(entry):
    return entry.channels[0]


def show(name, table, severity, images, **options):
    entry = registry.REGISTRY[name]
    step = registry.Step(entry, table, entry.tables[table])
    return corrupt(images, np.full((1, len(images)), severity, np.uint8), [step], stream, **options)


@pytest.mark.parametrize(("name", "table"), EVERY)
def test_every_severity_of_every_table(name, table):
    images = draw_images(channels=channels_of(registry.REGISTRY[name]))
    np.testing.assert_array_equal(show(name, table, 0, images), images)
    change = [np.abs(show(name, table, level, images).astype(float) - images).mean() for level in range(1, 6)]
    assert change[0] > 0.2
    if name not in NOT_ORDERED:
        assert change == sorted(change)
        assert change[4] > 1.2 * change[0]


@pytest.mark.parametrize("name", registry.REGISTRY)
def test_no_byte_depends_on_batch_or_neighbours(name):
    entry = registry.REGISTRY[name]
    table = next(iter(entry.tables))
    images = draw_images(9, channels_of(entry))
    whole = show(name, table, 3, images)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, show(name, table, 3, images, batch_size=2))
    np.testing.assert_array_equal(whole, show(name, table, 3, images))
    step = registry.choose_steps([name], table)
    alone = corrupt(images[7:8], np.full((1, 1), 3, np.uint8), step, lambda key, i: stream(key, i + 7))
    np.testing.assert_array_equal(alone[0], whole[7])


@pytest.mark.parametrize("name", registry.REGISTRY)
@pytest.mark.parametrize("size", [(32, 32), (28, 40)])
def test_grey_and_colour_and_other_sizes(name, size):
    for channels in (1, 3):
        images = np.random.default_rng(1).integers(0, 256, (3, channels, *size), np.uint8)
        steps = registry.choose_steps([name], registry.IMAGENET_C)
        if channels not in registry.REGISTRY[name].channels:
            with pytest.raises(ValueError, match=f"{name} needs images of 3 channels, these have 1; allowed on them: "):
                registry.refuse_channels(steps, channels)
            continue
        registry.refuse_channels(steps, channels)
        changed = corrupt(images, np.full((1, 3), 5, np.uint8), steps, stream)
        assert changed.shape == images.shape
        assert (changed != images).mean() > 0.02


def test_every_entry_is_cited_and_has_a_key_of_its_own():
    keys = [entry.key for entry in registry.REGISTRY.values()]
    assert len(set(keys)) == len(keys) == 28
    for name, entry in registry.REGISTRY.items():
        assert entry.name == name
        assert entry.unit
        assert entry.source, "who published it, as in `Hendrycks and Dietterich 2019`, or own"
        assert set(entry.tables) <= {*CITED, registry.OWN}
        assert registry.OWN not in entry.tables or len(entry.tables) == 1


def test_every_constant_is_as_published():
    """All tables against what their authors' code says, typed once more, in both directions."""
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    held = {name: entry.tables for name, entry in registry.REGISTRY.items() if registry.OWN not in entry.tables}
    assert published.keys() == held.keys()
    for name, tables in held.items():
        assert {table: registry.rows(constants) for table, constants in published[name].items()} == tables, name


def test_the_readme_names_what_has_no_published_severities():
    text = " ".join((ROOT / "docs/images.md").read_text(encoding="utf-8").split())
    own = [f"`{name}`" for name, entry in registry.REGISTRY.items() if registry.OWN in entry.tables]
    assert f"any of {len(registry.REGISTRY)} kinds" in text
    assert f"{', '.join(own[:-1])} and {own[-1]}" in text


def test_a_recipe_takes_the_table_asked_for_or_the_only_one():
    steps = registry.choose_steps(["gaussian_noise", "rotate", "occlusion"], registry.CIFAR_C)
    assert [step.table for step in steps] == [registry.CIFAR_C, registry.MNIST_C, registry.OWN]
    assert steps[0].constants(5) == (0.10,)
    for recipe, told in (
        (["saturate"], r"^table imagenet-c or .* with saturate in the recipe; got table mnist-c"),
        (["fog", "frost"], r"^names from: gaussian_noise, .*, canny_edges; there is no 'frost'"),
        (["fog", "snow", "fog"], r"^each corruption at most once"),
    ):
        refused(told, registry.choose_steps, recipe, registry.MNIST_C, error=ValueError)
    told, rows = r"thing: table own has 1 rows; needed: 5", {registry.OWN: ((1.0,),)}
    refused(told, registry.Corruption, "thing", lambda images, _: images, "unit", "source", rows, error=ValueError)


TABLES = list(REGISTRY["gaussian_noise"].tables)


def paper_steps(table):
    return choose_steps(["gaussian_blur", "gaussian_noise"], table)


def random_images(n, channels=1, height=32, width=32):
    images = np.random.default_rng(0).integers(0, 256, (n, channels, height, width), np.uint8)
    images[:, :, 8:-8, 8:-8] = 255  # a bright middle, so that clipping and edges both happen
    return images


def corrupt_slowly(images, blur_severity, noise_severity, table):
    """Blur and noise, one image and one channel at a time, with scipy's filter."""
    (blur_std, noise_std) = (step.rows for step in paper_steps(table))
    result = images.copy()
    for i in range(len(images)):
        if not (blur_severity[i] or noise_severity[i]):
            continue
        grey = images[i] / 255
        if blur_severity[i]:
            std = blur_std[blur_severity[i] - 1][0]
            grey = np.stack([ndimage.gaussian_filter(one, std, mode="nearest", truncate=4) for one in grey])
        if noise_severity[i]:
            drawn = torch.randn(*grey.shape, generator=stream("noise", i), dtype=torch.float64).numpy()
            grey = grey + drawn * noise_std[noise_severity[i] - 1][0]
        result[i] = np.round(np.clip(grey, 0, 1) * 255)
    return result


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 28, 31), (3, 128, 128)])
def test_equals_the_slow_twin(name, channels, height, width):
    severities = np.array([(b, n) for b in range(6) for n in range(6)], np.uint8)[:: 1 if height < 100 else 7]
    images = random_images(len(severities), channels, height, width)
    fast = corrupt(images, severities.T, paper_steps(name), stream)
    slow = corrupt_slowly(images, *severities.T, name)
    assert np.abs(fast.astype(int) - slow).max() <= 1
    assert (fast != slow).mean() < 1e-4
    np.testing.assert_array_equal(fast[0], images[0])


def test_input_is_not_changed_and_progress_counts_every_corrupted_image():
    images, done = random_images(10), []
    before = images.copy()
    severity = np.array([0, 1, 2, 3, 0, 1, 2, 3, 1, 1], np.uint8)
    corrupt(images, np.stack([severity] * 2), paper_steps(CIFAR_C), stream, batch_size=2, advance=done.append)
    np.testing.assert_array_equal(images, before)
    assert sum(done) == 8


def test_steps_follow_each_other_in_the_order_of_the_recipe():
    images = random_images(6)
    severity = np.full((2, 6), 3, np.uint8)
    names = ["pixelate", "gaussian_blur"]
    one, other = (corrupt(images, severity, choose_steps(order, IMAGENET_C), stream) for order in (names, names[::-1]))
    assert (one != other).any()
    unit = images / 255
    for name in names:
        unit = REGISTRY[name].change(unit, None, *REGISTRY[name].tables[IMAGENET_C][2])
    np.testing.assert_array_equal(one, np.round(unit * 255))
    # What a step draws depends on none before it: contrast leaves a flat image as it is.
    flat, noise = np.full((3, 1, 32, 32), 128, np.uint8), ["gaussian_noise"]
    alone, after = (
        corrupt(flat, np.full((len(order), 3), 2, np.uint8), choose_steps(order, IMAGENET_C), stream)
        for order in (noise, ["contrast", *noise])
    )
    np.testing.assert_array_equal(alone, after)


def test_the_first_two_steps_have_the_severities_of_a_shorter_recipe():
    two, three = (draw_severities(50, 0.5, [1, 2, 3], numpy_stream(3, "test"), steps=steps) for steps in (2, 3))
    np.testing.assert_array_equal(two, three[:2])
    assert three.shape == (3, 50)
    np.testing.assert_array_equal(three[2] == 0, two[0] == 0)


@pytest.mark.parametrize(("fraction", "clean"), [(0.5, 501), (0.0, 0), (1.0, 1001), (0.25, 250)])
def test_exactly_the_asked_share_stays_clean(fraction, clean):
    blur_severity, noise_severity = draw_severities(1001, fraction, [1, 2, 3], numpy_stream(3, "test"))
    assert abs(np.count_nonzero(blur_severity == 0) - clean) <= 1
    np.testing.assert_array_equal(blur_severity == 0, noise_severity == 0)


def test_severities_are_drawn_evenly_independently_and_scattered():
    blur_severity, noise_severity = draw_severities(90_000, 0.5, [1, 2, 4], numpy_stream(3, "test"))
    pairs = np.unique(np.stack([blur_severity, noise_severity]), axis=1, return_counts=True)
    assert pairs[0].T.tolist() == [[0, 0], *([b, n] for b in (1, 2, 4) for n in (1, 2, 4))]
    np.testing.assert_allclose(pairs[1][1:], 5000, atol=300)
    first, second = np.count_nonzero(blur_severity[:45_000]), np.count_nonzero(blur_severity[45_000:])
    assert abs(first - second) < 1500
