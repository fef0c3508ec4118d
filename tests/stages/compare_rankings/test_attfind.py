"""AttFind with reused layers against one full pass of both networks for every move."""

import numpy as np
import pytest
import torch

from failure_atlas.core.arrays import read_array
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from stages.common.artefacts.networks import load_networks
from stages.compare_rankings.attfind import count_passes, find_effects, score_effects
from stages.compare_rankings.layers import change_layer, columns_of, trace_layers


@pytest.fixture(scope="module")
def networks(tiny_generator, tiny_classifier):
    return load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))


@pytest.fixture(scope="module")
def styles(tiny_population):
    return read_array(tiny_population / "population.zarr", "s")


@pytest.mark.parametrize("resampling", ["bilinear", "fir"])
def test_a_changed_layer_gives_the_image_of_the_changed_styles(resampling):
    torch.manual_seed(3)
    generator = Generator(
        GeneratorArchitecture(
            z_dim=4, w_dim=4, num_classes=2, mapping_layers=1, channels=(6, 5, 4), image_channels=3,
            resampling=resampling,
        )
    ).requires_grad_(False)  # fmt: skip
    s, others = torch.rand(4, generator.style_dimensions) + 0.5, torch.rand(3, generator.style_dimensions) + 0.5
    rows = torch.tensor([2, 0, 2])
    states, raw = trace_layers(generator, s)
    torch.testing.assert_close(raw, generator.synthesize_raw(s))
    for index, layer in enumerate(generator.style_layout()):
        own = columns_of(layer)
        found = change_layer(generator, states, raw, s, rows, index, others[:, own])
        changed = s[rows].clone()
        changed[:, own] = others[:, own]
        torch.testing.assert_close(found, generator.synthesize(changed), rtol=1e-4, atol=1e-5)
        assert (found - generator.synthesize(s[rows])).abs().max() > 1e-3


@pytest.mark.parametrize("batch_size", [7, 500])
def test_effects_equal_the_slow_twin(networks, styles, batch_size):
    generator, classifier = networks
    chosen, true_class = styles[:3], np.array([0, 1, 2])
    weights, bounds = np.array([0.5, 0.2, 0.3]), np.stack([styles.min(0), styles.max(0)])
    seen = []
    effects = find_effects(
        generator, classifier, chosen, true_class, weights, bounds, batch_size=batch_size, on_batch=seen.append
    )
    assert sum(seen) == count_passes(3, 80) == 3 * 161

    def read(s):
        with torch.no_grad():
            logits = classifier(generator.synthesize(torch.from_numpy(s))).double().numpy()
        odds = np.exp(logits)
        own = np.arange(len(s)), true_class
        return logits[own], (odds / odds.sum(1, keepdims=True))[own]

    before = read(chosen)
    for dimension in range(80):
        for side in (0, 1):
            moved = chosen.copy()
            moved[:, dimension] = bounds[side, dimension]
            after = read(moved)
            for effect, one, other in zip((effects.logit, effects.probability), after, before, strict=True):
                assert effect[dimension, side] == pytest.approx(weights @ (one - other), abs=2e-5)


def test_scores_take_the_direction_that_lowers_more():
    effect = np.array([[-3.0, -1], [2, -4], [1, 1], [-2, 5], [0, 0]])
    np.testing.assert_array_equal(score_effects(effect), [3, -4, 0, 2, 0])
