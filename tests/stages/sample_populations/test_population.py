"""Latents depend on seed and index alone, and a population is what the generator makes of them."""

import numpy as np
import pytest
import torch

from failure_atlas.core.arrays import read_array
from failure_atlas.populations import sampling
from failure_atlas.stylegan2.generator import load_generator
from stages.common.artefacts.images import read_class_names
from stages.common.artefacts.population import DIMENSIONS, store_population, tabulate_styles

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generator(tiny_generator):
    return load_generator(tiny_generator, CPU)


@pytest.fixture(scope="module")
def population(generator):
    return sampling.sample_population(
        generator, sampling.draw_latents(1, 30, generator.z_dim), sampling.balance_labels(30, 10), batch_size=30
    )


def test_latents_are_standard_normal_and_follow_seed_and_index_alone():
    z = sampling.draw_latents(1, 3 * sampling.SHARD_SAMPLES, 8)
    assert z.shape == (3000, 8)
    assert z.dtype == np.float32
    assert abs(z.mean()) < 0.03
    assert z.std() == pytest.approx(1, abs=0.02)
    assert len(np.unique(z[:, 0])) > 2990  # no two shards are alike
    for samples in (1, 999, 1000, 1001, 2500):
        assert np.array_equal(sampling.draw_latents(1, samples, 8), z[:samples])
    assert not np.isclose(sampling.draw_latents(2, 100, 8), z[:100]).any()


def test_labels_are_balanced_in_every_run():
    assert sampling.balance_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert sampling.balance_labels(7, 3).dtype == np.int64


def test_steps_agree_with_the_generator(generator, population):
    z, labels = torch.from_numpy(population.z), torch.from_numpy(population.labels)
    w = generator.map_latents(z, labels)
    s = generator.map_styles(w)
    torch.testing.assert_close(torch.from_numpy(population.w), w)
    torch.testing.assert_close(torch.from_numpy(population.s), s)
    # The image of the stored styles, rounded to whole grey levels and not cut.
    levels = generator.synthesize(torch.from_numpy(population.s)).numpy() * 255
    assert population.images.dtype == np.uint8
    assert np.abs(population.images - levels).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing_beyond_rounding(generator, population, batch_size):
    told = []
    other = sampling.sample_population(
        generator, population.z, population.labels, batch_size=batch_size, advance=told.append
    )
    np.testing.assert_allclose(other.w, population.w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.s, population.s, rtol=1e-4, atol=1e-5)
    assert np.abs(other.images.astype(int) - population.images).max() <= 1
    assert sum(told) == 30


def test_written_and_read_back(population, tmp_path):
    halves = [
        sampling.Population(*(getattr(population, name)[rows] for name in DIMENSIONS))
        for rows in (slice(0, 15), slice(15, 30))
    ]
    passed = list(store_population(tmp_path / "population.zarr", halves, 30, list("0123456789")))
    assert [len(part.labels) for part in passed] == [15, 15]
    assert read_class_names(tmp_path / "population.zarr") == list("0123456789")
    for name in ("z", "w", "s", "images", "labels"):
        one, two = getattr(population, name), read_array(tmp_path / "population.zarr", name)
        assert one.dtype == two.dtype
        assert np.array_equal(one, two), name


def test_parts_are_the_population(generator, monkeypatch):
    monkeypatch.setattr("failure_atlas.populations.sampling.SHARD_ROWS", sampling.SHARD_SAMPLES)
    parts = list(sampling.sample_in_parts(generator, 1, 2 * sampling.SHARD_SAMPLES + 7, batch_size=500))
    assert [len(part.labels) for part in parts] == [sampling.SHARD_SAMPLES, sampling.SHARD_SAMPLES, 7]
    z, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("z", "labels"))
    assert np.array_equal(z, sampling.draw_latents(1, len(z), generator.z_dim))
    assert np.array_equal(labels, sampling.balance_labels(len(z), 10))


def test_lengths_must_agree(generator):
    with pytest.raises(ValueError, match="0 latent vectors and 0 labels"):
        sampling.sample_population(generator, np.empty((0, 8), np.float32), np.empty(0, np.int64), batch_size=5)


def test_table_has_one_row_per_style_dimension(generator):
    table = tabulate_styles(generator.style_layout())
    assert table["dimension"].tolist() == list(range(generator.style_dimensions))
    assert set(table["kind"]) == {"conv", "torgb"}
    for layer in generator.style_layout():
        part = table[table["layer"] == layer.name]
        assert part["channel"].tolist() == list(range(layer.channels))
        assert part["dimension"].iloc[0] == layer.offset
        assert set(part["resolution_px"]) == {layer.resolution_px}
