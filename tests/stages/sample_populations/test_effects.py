"""What moving one style dimension does to the image."""

import numpy as np
import pytest
import torch

from failure_atlas.populations.effects import measure_effects, summarize_effects
from failure_atlas.stylegan2.generator import load_generator
from stages.common.artefacts.population import tabulate_styles


@pytest.fixture
def generator(tiny_generator):
    return load_generator(tiny_generator, torch.device("cpu"))


@pytest.fixture
def styles(generator):
    return np.random.default_rng(0).normal(1, 0.5, (3, generator.style_dimensions)).astype(np.float32)


def test_the_effect_is_that_of_one_dimension_moved_alone(generator, styles):
    std = np.linspace(0.5, 1.5, styles.shape[1])
    table = measure_effects(generator, styles, std, batch_size=20)
    for dimension in (0, 17, styles.shape[1] - 1):
        moved = styles.copy()
        moved[:, dimension] += std[dimension].astype(np.float32)
        change = generator.synthesize(torch.from_numpy(moved)) - generator.synthesize(torch.from_numpy(styles))
        assert table["effect"][dimension] == pytest.approx(float(change.square().mean().sqrt()), rel=1e-3, abs=1e-7)
        assert table["dead"][dimension] == (float(change.abs().max()) < 0.5 / 255)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing_beyond_rounding(generator, styles, batch_size):
    std = np.ones(styles.shape[1])
    told = []
    one = measure_effects(generator, styles, std, batch_size=batch_size, advance=told.append)
    other = measure_effects(generator, styles, std, batch_size=30)
    np.testing.assert_allclose(one["effect"], other["effect"], rtol=1e-3, atol=1e-7)
    assert sum(told) == styles.size


def test_a_dimension_whose_channel_has_no_weight_is_dead(generator, styles):
    layout = tabulate_styles(generator.style_layout())
    dimension = int(layout.index[(layout["layer"] == "b32.torgb") & (layout["channel"] == 2)][0])
    std = np.ones(styles.shape[1])
    assert not measure_effects(generator, styles, std * 50, batch_size=30)["dead"][dimension]
    generator.to_images[-1].weight.data[:, 2] = 0
    table = measure_effects(generator, styles, std * 50, batch_size=30)
    assert table["dead"][dimension]
    layers = summarize_effects(layout.join(table))
    assert list(layers)[-1] == "b32.torgb"
    assert layers["b32.torgb"]["dead"] >= 1
