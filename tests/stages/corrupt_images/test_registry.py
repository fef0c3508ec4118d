"""What holds of every corruption in the registry."""

from pathlib import Path

import numpy as np
import pytest

from failure_atlas.core.seeds import torch_stream
from failure_atlas.corruptions.corruptions import corrupt
from failure_atlas.corruptions.registry import (
    CIFAR_C,
    IMAGENET_C,
    MNIST_C,
    OWN,
    REGISTRY,
    TINY_IMAGENET_C,
    Corruption,
    Step,
    choose_steps,
    refuse_channels,
    rows,
)
from tests import yaml12 as yaml
from tests.house import ROOT

CITED = (IMAGENET_C, TINY_IMAGENET_C, CIFAR_C, MNIST_C)
EVERY = [(name, table) for name, entry in REGISTRY.items() for table in entry.tables]
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


def channels_of(entry: Corruption) -> int:
    return entry.channels[0]


def show(name, table, severity, images, **options):
    entry = REGISTRY[name]
    step = Step(entry, table, entry.tables[table])
    return corrupt(images, np.full((1, len(images)), severity, np.uint8), [step], stream, **options)


@pytest.mark.parametrize(("name", "table"), EVERY)
def test_every_severity_of_every_table(name, table):
    images = draw_images(channels=channels_of(REGISTRY[name]))
    np.testing.assert_array_equal(show(name, table, 0, images), images)
    change = [np.abs(show(name, table, level, images).astype(float) - images).mean() for level in range(1, 6)]
    assert change[0] > 0.2
    if name not in NOT_ORDERED:
        assert change == sorted(change)
        assert change[4] > 1.2 * change[0]


@pytest.mark.parametrize("name", REGISTRY)
def test_no_byte_depends_on_batch_or_neighbours(name):
    entry = REGISTRY[name]
    table = next(iter(entry.tables))
    images = draw_images(9, channels_of(entry))
    whole = show(name, table, 3, images)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole, show(name, table, 3, images, batch_size=2))
    np.testing.assert_array_equal(whole, show(name, table, 3, images))
    step = choose_steps([name], table)
    alone = corrupt(images[7:8], np.full((1, 1), 3, np.uint8), step, lambda key, i: stream(key, i + 7))
    np.testing.assert_array_equal(alone[0], whole[7])


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("size", [(32, 32), (28, 40)])
def test_grey_and_colour_and_other_sizes(name, size):
    for channels in (1, 3):
        images = np.random.default_rng(1).integers(0, 256, (3, channels, *size), np.uint8)
        steps = choose_steps([name], IMAGENET_C)
        if channels not in REGISTRY[name].channels:
            with pytest.raises(ValueError, match=f"{name} needs images of 3 channels, these have 1; allowed on them: "):
                refuse_channels(steps, channels)
            continue
        refuse_channels(steps, channels)
        changed = corrupt(images, np.full((1, 3), 5, np.uint8), steps, stream)
        assert changed.shape == images.shape
        assert (changed != images).mean() > 0.02


def test_every_entry_is_cited_and_has_a_key_of_its_own():
    keys = [entry.key for entry in REGISTRY.values()]
    assert len(set(keys)) == len(keys) == 28
    for name, entry in REGISTRY.items():
        assert entry.name == name
        assert entry.unit
        assert entry.source, "who published it, as in `Hendrycks and Dietterich 2019`, or own"
        assert set(entry.tables) <= {*CITED, OWN}
        assert OWN not in entry.tables or len(entry.tables) == 1


def test_every_constant_is_as_published():
    """All tables against what their authors' code says, typed once more, in both directions."""
    published = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    held = {name: entry.tables for name, entry in REGISTRY.items() if OWN not in entry.tables}
    assert published.keys() == held.keys()
    for name, tables in held.items():
        assert {table: rows(constants) for table, constants in published[name].items()} == tables, name


def test_the_readme_names_what_has_no_published_severities():
    text = " ".join((ROOT / "docs/images.md").read_text(encoding="utf-8").split())
    own = [f"`{name}`" for name, entry in REGISTRY.items() if OWN in entry.tables]
    assert f"any of {len(REGISTRY)} kinds" in text
    assert f"{', '.join(own[:-1])} and {own[-1]}" in text


def test_a_recipe_takes_the_table_asked_for_or_the_only_one():
    steps = choose_steps(["gaussian_noise", "rotate", "occlusion"], CIFAR_C)
    assert [step.table for step in steps] == [CIFAR_C, MNIST_C, OWN]
    assert steps[0].constants(5) == (0.10,)
    with pytest.raises(ValueError, match=r"^table imagenet-c or .* with saturate in the recipe; got table mnist-c"):
        choose_steps(["saturate"], MNIST_C)
    with pytest.raises(ValueError, match=r"^names from: gaussian_noise, .*, canny_edges; there is no 'frost'"):
        choose_steps(["fog", "frost"], MNIST_C)
    with pytest.raises(ValueError, match=r"^each corruption at most once"):
        choose_steps(["fog", "snow", "fog"], MNIST_C)


def test_a_table_has_five_rows():
    with pytest.raises(ValueError, match=r"thing: table own has 1 rows; needed: 5"):
        Corruption("thing", lambda images, _stream: images, "unit", "source", {OWN: ((1.0,),)})
