"""The discriminator's score against the network that it is taken from."""

import numpy as np
import pytest
import torch

from failure_atlas.core.arrays import read_array
from failure_atlas.judges.realism import measure_deviation, score_realism
from failure_atlas.stylegan2.state import load_discriminator


@pytest.fixture
def pictures(tiny_population):
    return read_array(tiny_population / "population.zarr", "images"), read_array(
        tiny_population / "population.zarr", "labels"
    )


@pytest.mark.parametrize("stem", ["space_to_depth", "pixels"])
def test_with_the_deviation_of_its_own_group_the_score_is_that_of_the_network(make_snapshot, pictures, stem):
    critic = load_discriminator(make_snapshot(stem=stem), torch.device("cpu"))
    images, labels = pictures[0][:4], pictures[1][:4]
    deviation = measure_deviation(critic, images, batch_size=3)
    with torch.no_grad():
        expected = critic(torch.from_numpy(images).float() / 127.5 - 1, torch.from_numpy(labels)).numpy()
    scores = score_realism(critic, images, labels, deviation, batch_size=4)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_score_depends_neither_on_neighbours_nor_on_batches(critic, pictures):
    images, labels = pictures[0][:30], pictures[1][:30]
    scores = score_realism(critic, images, labels, 0.3, batch_size=7)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(
        score_realism(critic, images[order], labels[order], 0.3, batch_size=30), scores[order], rtol=1e-4, atol=1e-5
    )
    other = score_realism(critic, images, (labels + 1) % 10, 0.3, batch_size=7)
    assert (np.abs(other - scores) > 1e-4).any(), "the class counts"


def test_the_deviation_is_the_mean_over_the_groups(critic, pictures):
    images = pictures[0][:11]
    both = measure_deviation(critic, images, batch_size=5)
    halves = [measure_deviation(critic, images[first : first + 4], batch_size=5) for first in (0, 4)]
    assert both == pytest.approx(np.mean(halves), rel=1e-5), "the last three make no group"
    assert measure_deviation(critic, images[:2], batch_size=5) > 0
    assert measure_deviation(critic, images[[0, 0, 0, 0]], batch_size=5) == pytest.approx(1e-4, rel=0.1)


def test_nothing_to_score(critic, pictures):
    assert score_realism(critic, pictures[0][:0], pictures[1][:0], 0.3, batch_size=5).shape == (0,)
    with pytest.raises(ValueError, match="no images"):
        measure_deviation(critic, pictures[0][:0], batch_size=5)
