"""Populations: latents and what the generator makes of them, effects of single dimensions, t-SNE, probes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from failure_atlas.core.arrays import read_array, read_attributes
from failure_atlas.images.image_set import subtract_class_means
from failure_atlas.populations import sampling
from failure_atlas.populations import spaces as probes
from failure_atlas.populations.effects import measure_effects, summarize_effects
from failure_atlas.stylegan2.generator import load_generator
from stages.common.artefacts.images import read_class_names
from stages.common.artefacts.population import DIMENSIONS, store_population, tabulate_styles

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generator(tiny_generator):
    return load_generator(tiny_generator, CPU)


@pytest.fixture(scope="module")
def population(generator):
    z, labels = sampling.draw_latents(1, 30, generator.z_dim), sampling.balance_labels(30, 10)
    return sampling.sample_population(generator, z, sampling.draw_noise(1, 30), labels, batch_size=30)


def test_seeds_of_noise_follow_seed_and_index_alone_and_are_all_different():
    noise = sampling.draw_noise(1, 2500)
    assert (noise.dtype, len(np.unique(noise))) == (np.int64, 2500)
    assert noise.min() >= 0
    for first, samples in ((0, 1), (0, 1001), (1000, 1500), (2000, 7)):
        assert np.array_equal(sampling.draw_noise(1, samples, first), noise[first : first + samples])
    assert not np.isin(sampling.draw_noise(2, 2500), noise).any()


def test_latents_are_standard_normal_and_follow_seed_and_index_alone():
    z = sampling.draw_latents(1, 3 * sampling.SHARD_SAMPLES, 8)
    assert (z.shape, z.dtype) == ((3000, 8), np.float32)
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
    levels = generator.synthesize(torch.from_numpy(population.s), population.noise).numpy() * 255
    assert population.images.dtype == np.uint8
    assert np.abs(population.images - levels).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_changes_nothing_beyond_rounding(generator, population, batch_size):
    told, latents = [], (population.z, population.noise, population.labels)
    other = sampling.sample_population(generator, *latents, batch_size=batch_size, advance=told.append)
    np.testing.assert_allclose(other.w, population.w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.s, population.s, rtol=1e-4, atol=1e-5)
    assert np.abs(other.images.astype(int) - population.images).max() <= 1
    assert sum(told) == 30


def test_written_and_read_back(population, tmp_path):
    cut = [np.split(getattr(population, name), 2) for name in DIMENSIONS]
    halves = [sampling.Population(*parts) for parts in zip(*cut, strict=True)]
    mean_noise = np.arange(20).reshape(2, 10)
    passed = list(store_population(tmp_path / "population.zarr", halves, 30, list("0123456789"), mean_noise))
    assert [len(part.labels) for part in passed] == [15, 15]
    assert read_class_names(tmp_path / "population.zarr") == list("0123456789")
    assert read_attributes(tmp_path / "population.zarr")["mean_noise"] == mean_noise.tolist()
    for name in DIMENSIONS:
        one, two = getattr(population, name), read_array(tmp_path / "population.zarr", name)
        assert one.dtype == two.dtype
        assert np.array_equal(one, two), name


def test_parts_are_the_population(generator, monkeypatch):
    monkeypatch.setattr("failure_atlas.populations.sampling.SHARD_ROWS", sampling.SHARD_SAMPLES)
    parts = list(sampling.sample_in_parts(generator, 1, 2 * sampling.SHARD_SAMPLES + 7, batch_size=500))
    assert [len(part.labels) for part in parts] == [sampling.SHARD_SAMPLES, sampling.SHARD_SAMPLES, 7]
    z, noise, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("z", "noise", "labels"))
    assert np.array_equal(z, sampling.draw_latents(1, len(z), generator.z_dim))
    assert np.array_equal(noise, sampling.draw_noise(1, len(z)))
    assert np.array_equal(labels, sampling.balance_labels(len(z), 10))


def test_lengths_must_agree(generator):
    labels = sampling.balance_labels(2, 10)
    for samples, seeds, told in ((0, 0, "0 latent vectors, 0 seeds of noise and 0"), (2, 1, "2 latent vectors, 1 see")):
        with pytest.raises(ValueError, match=told):
            sampling.sample_population(
                generator, np.zeros((samples, 8), np.float32), labels[:seeds], labels[:samples], batch_size=5
            )


def test_table_has_one_row_per_style_dimension(generator):
    table = tabulate_styles(generator.style_layout())
    assert table["dimension"].tolist() == list(range(generator.style_dimensions))
    assert set(table["kind"]) == {"conv", "torgb"}
    for layer in generator.style_layout():
        part = table[table["layer"] == layer.name]
        assert part["channel"].tolist() == list(range(layer.channels))
        assert part["dimension"].iloc[0] == layer.offset
        assert set(part["resolution_px"]) == {layer.resolution_px}


@pytest.fixture
def styles(generator):
    return np.random.default_rng(0).normal(1, 0.5, (3, generator.style_dimensions)).astype(np.float32)


def test_the_effect_is_that_of_one_dimension_moved_alone(generator, styles):
    std, noise = np.linspace(0.5, 1.5, styles.shape[1]), np.array([5, 6, 7])
    table = measure_effects(generator, styles, std, noise=noise, batch_size=20)
    for dimension in (0, 17, styles.shape[1] - 1):
        moved = styles.copy()
        moved[:, dimension] += std[dimension].astype(np.float32)
        before, after = (generator.synthesize(torch.from_numpy(s), noise) for s in (styles, moved))
        change = after - before
        assert table["effect"][dimension] == pytest.approx(float(change.square().mean().sqrt()), rel=1e-3, abs=1e-7)
        assert table["dead"][dimension] == (float(change.abs().max()) < 0.5 / 255)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_batch_size_moves_effects_by_rounding_only(generator, styles, batch_size):
    std = np.ones(styles.shape[1])
    told = []
    one = measure_effects(generator, styles, std, batch_size=batch_size, advance=told.append)
    other = measure_effects(generator, styles, std, batch_size=30)
    np.testing.assert_allclose(one["effect"], other["effect"], rtol=1e-3, atol=1e-7)
    assert sum(told) == styles.size


def test_a_dimension_whose_channel_has_no_weight_is_dead(tiny_generator, styles):
    generator = load_generator(tiny_generator, CPU)
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


def draw_clusters(samples):
    stream = np.random.default_rng(1)
    labels = np.arange(samples) % 3
    return (stream.standard_normal((samples, 5)) + 12 * np.eye(5)[labels]).astype(np.float32), labels


def test_alone_or_side_by_side_the_bytes_are_equal():
    features, _ = draw_clusters(90)
    spaces = probes.embed_spaces({"one": features, "two": features[:, :3], "three": features}, perplexity=10, seed=1)
    assert (list(spaces), spaces["one"].shape) == (["one", "two", "three"], (90, 2))
    assert spaces["one"].tobytes() == spaces["three"].tobytes()
    assert spaces["one"].tobytes() == probes.embed(features, perplexity=10, seed=1).tobytes()
    assert not np.allclose(spaces["one"], spaces["two"])


def test_clusters_stay_clusters():
    features, labels = draw_clusters(90)
    plane = probes.embed(features, perplexity=10, seed=1)
    assert np.isfinite(probes.embed(features[:12], perplexity=30, seed=1)).all()  # which few samples lower
    distances = np.linalg.norm(plane[:, None] - plane, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(1)] == labels).mean() > 0.98


def test_classes_far_apart_are_told_apart():
    stream = np.random.default_rng(1)
    labels = np.arange(200) % 4
    features = stream.standard_normal((200, 6)) + 8 * np.eye(6)[labels]
    separation = probes.measure_class_separation(features, labels, folds=5, seed=1)
    assert (separation["value"], separation["n"]) == (1, 200)
    assert probes.measure_class_separation(features, labels, folds=5, seed=1) == separation
    assert separation["low"] < 1 == separation["high"]


def separate(features, well):
    return probes.roc_auc(probes.score_outcomes(features, well, folds=5, seed=1), well)


def test_noise_is_at_chance_however_many_dimensions():
    # 400 dimensions fit 200 samples perfectly; a probe scored on what it has not seen gains nothing.
    stream = np.random.default_rng(2)
    features, labels = stream.standard_normal((200, 400)), np.arange(200) % 4
    separation = probes.measure_class_separation(features, labels, folds=5, seed=1)
    assert separation["low"] < 0.25 < separation["high"]
    outcome = separate(features, stream.random(200) < 0.3)
    assert outcome["low"] < 0.5 < outcome["high"]


def test_outcome_along_one_direction_has_the_auc_of_its_shift():
    stream = np.random.default_rng(3)
    well = np.arange(3000) % 3 > 0
    features = stream.standard_normal((3000, 5))
    features[well, 2] += 1
    separation = separate(features, well)
    assert separation["value"] == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)
    assert separation["low"] < separation["value"] < separation["high"]


def test_class_means_hide_what_is_within_a_class():
    # Outcome depends on the class alone: separable, until the class mean is subtracted.
    stream = np.random.default_rng(4)
    labels = np.arange(400) % 2
    features = stream.standard_normal((400, 3)) + 6 * labels[:, None]
    well = stream.random(400) < np.where(labels == 0, 0.95, 0.4)
    assert separate(features, well)["low"] > 0.65
    centred = subtract_class_means(features, labels)
    for label in range(2):
        own = labels == label
        np.testing.assert_allclose(centred[own].mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(centred[own], axis=0), np.diff(features[own], axis=0), rtol=1e-4)
    within = separate(centred, well)
    assert within["value"] == pytest.approx(0.5, abs=0.08)


def test_too_few_of_a_kind_have_no_auc():
    well = np.arange(50) > 2
    separation = separate(np.zeros((50, 2)), well)
    assert np.isnan(separation["value"])
    assert separation["n"] == 50


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(pairs):
    scores, positive = (np.array(column) for column in zip(*pairs, strict=True))
    if positive.all() or not positive.any():
        return
    upper, lower = scores[positive][:, None], scores[~positive]
    slow = ((upper > lower) + 0.5 * (upper == lower)).mean()
    auc = probes.roc_auc(scores.astype(float), positive)
    assert auc["value"] == pytest.approx(slow)
    assert 0 <= auc["low"] <= auc["value"] + 1e-12
    assert auc["value"] - 1e-12 <= auc["high"] <= 1


def test_auc_interval_covers_the_truth_as_often_as_it_claims():
    stream = np.random.default_rng(6)
    truth, hits = stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(400):
        positive = np.arange(120) < 60
        auc = probes.roc_auc(stream.standard_normal(120) + positive, positive)
        hits += auc["low"] <= truth <= auc["high"]
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


def test_the_difference_of_two_areas_is_that_of_pairs_and_its_interval_covers():
    stream = np.random.default_rng(7)
    positive = np.arange(150) % 3 > 0
    held = []
    for _ in range(400):
        common = stream.standard_normal(150)
        first, second = (common + 0.5 * stream.standard_normal(150) + gain * positive for gain in (1.2, 0.9))
        found = probes.compare_roc_auc(first, second, positive)
        truth = np.subtract(*(stats.norm.cdf(gain / np.sqrt(2 * 1.25)) for gain in (1.2, 0.9)))
        held.append(found["low"] <= truth <= found["high"])
    each, other = (probes.roc_auc(scores, positive) for scores in (first, second))
    assert found["value"] == pytest.approx(each["value"] - other["value"])
    assert found["high"] - found["low"] < 0.7 * (each["high"] - each["low"]), "what both share is not counted twice"
    assert 0.92 < np.mean(held) < 0.98
    assert np.isnan(probes.compare_roc_auc(first, np.full(150, np.nan), positive)["high"])
