"""The feature critic: what it sees, learns and teaches, how its state is kept; and moment matching."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.stylegan2 import feature_critic
from failure_atlas.stylegan2.generator import Generator
from failure_atlas.stylegan2.state import save_state
from stages.train_stylegan2.session import count_feature_images, prepare_critic, start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.refusing import refused
from tests.stages.train_stylegan2 import tiny_training

FEATURES = 4 * 8 + 2 * 8
LEARNING = {"training_images": 640, "seed": 1, "precision": "float32", "key": "train_stylegan2.feature_critic"}
KNOWS_NOTHING = 2 * math.log(2)


@pytest.fixture
def critic():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        networks = ("plain", 8), ("residual", 8)
        return feature_critic.FeatureCritic(feature_critic.CriticArchitecture(10, 1, networks, 16))


def test_an_untrained_critic_teaches_nothing(critic):
    features, labels = torch.randn(6, FEATURES, requires_grad=True), torch.arange(6)
    logits = critic(features, labels)
    assert torch.equal(logits, torch.zeros(6))
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    assert torch.equal(gradient, torch.zeros_like(features))
    loss = feature_critic.critic_loss(critic, features, features, labels, 0.02)
    assert loss.item() == pytest.approx(KNOWS_NOTHING)


def test_the_critic_learns_what_tells_real_from_generated_of_a_class(critic):
    # Generated features of one class stand where real ones of the other do: without the label none can be told.
    labels = torch.arange(64) % 2
    stream = torch.Generator().manual_seed(2)
    sign = (2.0 * labels - 1)[:, None]
    optimizer = torch.optim.Adam(critic.head.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        real = torch.randn(64, FEATURES, generator=stream) + sign
        fake = torch.randn(64, FEATURES, generator=stream) - sign
        loss = feature_critic.critic_loss(critic, real, fake, labels, 0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(KNOWS_NOTHING)
    assert losses[-1] < KNOWS_NOTHING / 2


def test_features_are_those_of_frozen_classifiers_standardised(session, critic):
    state = torch.random.get_rng_state()
    feature_critic.learn_features(critic, session.images, **LEARNING)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(parameter.requires_grad for parameter in critic.networks.parameters())
    assert all(parameter.requires_grad for parameter in critic.head.parameters())
    features = critic.read(torch.from_numpy(session.images.images).float() / 255)
    assert features.shape == (100, FEATURES)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(FEATURES), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.std(dim=0), torch.ones(FEATURES), atol=1e-2, rtol=0)


def test_a_feature_training_that_diverges_names_its_network(session, critic):
    def poison(_images, _note):
        with torch.no_grad():
            next(critic.networks[1].parameters()).fill_(math.nan)

    told = r"train_stylegan2\.feature_critic\.networks\[1\]: loss is not finite"
    refused(told, feature_critic.learn_features, critic, session.images, advance=poison, **LEARNING)


def test_the_generator_learns_from_the_critic_too(session, trained, trained_with_critic):
    alone, (taught, both) = trained[1], trained_with_critic
    assert "critic_loss" not in alone.log[0]
    assert all(0 < row["critic_loss"] < 2 * KNOWS_NOTHING for row in both.log)
    assert both.log[0]["critic_loss"] == pytest.approx(KNOWS_NOTHING, abs=0.1)  # it starts from nothing
    assert both.log[0]["generator_loss"] != alone.log[0]["generator_loss"]
    fresh = replace(session, params=taught.params)
    prepare_critic(fresh, start := start_state(fresh))
    held = tiny_training.tensors_of(both)
    for name, tensor in tiny_training.tensors_of(start).items():
        if name.startswith("critic.networks"):
            assert torch.equal(tensor, held[name]), name  # frozen while the generator learns


def test_the_critic_sees_the_images_that_the_discriminator_sees_as_they_are_stored(taught, monkeypatch):
    made, read, critic = [], [], feature_critic.FeatureCritic
    synthesize, look = Generator.synthesize_raw, critic.read
    monkeypatch.setattr(Generator, "synthesize_raw", lambda *given: made.append(synthesize(*given)) or made[-1])
    monkeypatch.setattr(critic, "read", lambda self, images: read.append(images) or look(self, images))
    images_seen = tiny_training.finish(tiny_training.change(taught, total_kimg=1)).images_seen
    shown = [images for images in read if images.requires_grad]
    assert len(made) == len(shown) == images_seen // taught.params.batch_size
    for raw, seen in zip(made, shown, strict=True):
        torch.testing.assert_close(seen * 255, ((raw + 1) * 127.5).clamp(0, 255).round(), rtol=0, atol=1e-3)


def test_a_run_killed_while_features_are_learned_begins_again(taught):
    def kill(_images, _note):
        raise tiny_training.KilledError

    start = start_state(taught)
    with pytest.raises(tiny_training.KilledError):
        prepare_critic(taught, start, kill)
    assert not taught.snapshot.exists()
    assert count_feature_images(taught, start_state(taught)) == 2 * 640


def test_a_snapshot_brings_its_critic_along_where_it_fits(session, trained_with_critic, tmp_path):
    trained = trained_with_critic[1]
    whole, slim = tmp_path / "whole.safetensors", tmp_path / "slim.safetensors"
    save_state(whole, trained)
    change_snapshot(whole, slim, slim=True)

    def start(path, critic, names=session.class_names):
        there = replace(tiny_training.change(session, "there", feature_critic=critic, total_kimg=9), class_names=names)
        there.folder.mkdir(parents=True, exist_ok=True)
        there.snapshot.write_bytes(path.read_bytes())
        return start_state(there)

    for path in (whole, slim):
        held = start(path, tiny_training.CRITIC)
        assert held.critic_ready
        tiny_training.assert_same(trained, held)
    assert start(whole, None).critic is None
    assert not start(whole, tiny_training.CRITIC.model_copy(update={"width": 8})).critic_ready
    assert not start(whole, tiny_training.CRITIC, [f"other {name}" for name in session.class_names]).critic_ready


MATCHED, SAMPLES = 5, 4000


def draw_features(seed, scale, shift):
    stream = torch.Generator().manual_seed(seed)
    mixing = torch.randn(MATCHED, MATCHED, generator=stream, dtype=torch.float64) * scale
    return torch.randn(SAMPLES, MATCHED, generator=stream, dtype=torch.float64) @ mixing + shift


REAL, GENERATED = draw_features(1, 1.0, 0.5), draw_features(2, 0.7, 0.0)


def see(matching, features, decay=0.0):
    matching.observe(features.mean(dim=0), features.T @ features / len(features), decay)


def match(seen=None):
    matching = feature_critic.MomentMatching(MATCHED)
    matching.take_real(REAL)
    if seen is not None:
        see(matching, seen)
    return matching


def test_the_loss_is_the_frechet_distance_over_the_real_variance_and_steps_along_its_gradient_end_it():
    def measure(features):
        return frechet_distance(fit_gaussian(REAL.numpy()), fit_gaussian(features.numpy()))

    matching, leaf = match(GENERATED), GENERATED.clone().requires_grad_(True)
    loss = matching.loss(leaf)
    variance = float(np.trace(np.cov(REAL.numpy().T)))
    assert loss.item() == pytest.approx(measure(GENERATED) / variance, rel=2e-3)
    (gradient,) = torch.autograd.grad(loss, leaf)
    moved = GENERATED - gradient * SAMPLES * matching.real_covariance.trace() / 2  # the whole way
    assert measure(moved) < 1e-3 * measure(GENERATED)
    assert match(REAL).loss(REAL).item() == pytest.approx(0, abs=1e-6)  # equal moments give no lesson


def test_running_moments_forget_with_the_stated_half_life_and_are_ready_in_time():
    matching = match()
    decay = 0.5 ** (1 / 10)  # a half-life of ten batches
    ready = []
    for _ in range(10):
        see(matching, GENERATED, decay)
        ready.append(matching.ready)
    assert ready == [False] * 4 + [True] * 6
    assert float(matching.weight) == pytest.approx(0.5)
    for _ in range(14):
        see(matching, REAL, decay)
    # 24 batches: the transport is that of just now, three times eight
    kept = decay**14
    expected = (GENERATED.mean(dim=0) * kept / 2 + REAL.mean(dim=0) * (1 - kept)) / (kept / 2 + 1 - kept)
    torch.testing.assert_close(matching.generated_mean, expected)
    assert pytest.approx(1 - 2**-0.5) == feature_critic.READY


def test_root_squares_to_the_matrix():
    factor = draw_features(3, 1.0, 0.0)[:8]
    matrix = factor.T @ factor
    root = feature_critic.symmetric_root(matrix)
    torch.testing.assert_close(root @ root, matrix)
    torch.testing.assert_close(root, root.T)
