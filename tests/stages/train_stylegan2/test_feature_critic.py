"""The feature critic: what it sees, learns and teaches, how its state is kept; and moment matching."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.quality.frechet import fit_gaussian, frechet_distance
from failure_atlas.stylegan2.feature_critic import (
    READY,
    CriticArchitecture,
    FeatureCritic,
    MomentMatching,
    critic_loss,
    learn_features,
    symmetric_root,
)
from failure_atlas.stylegan2.state import TrainingState, save_state
from stages.train_stylegan2.params import FeatureCriticParams
from stages.train_stylegan2.session import Session, count_feature_images, prepare_critic, start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.stages.train_stylegan2.conftest import Trained
from tests.stages.train_stylegan2.tiny_training import (
    CRITIC,
    PARAMS,
    KilledError,
    assert_same,
    change,
    finish,
    tensors_of,
)

FEATURES = 4 * 8 + 2 * 8
KEY = "train_stylegan2.feature_critic"
KNOWS_NOTHING = 2 * math.log(2)


@pytest.fixture
def critic() -> FeatureCritic:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return FeatureCritic(CriticArchitecture(10, 1, (("plain", 8), ("residual", 8)), 16))


def test_an_untrained_critic_teaches_nothing(critic: FeatureCritic) -> None:
    features, labels = torch.randn(6, FEATURES, requires_grad=True), torch.arange(6)
    logits = critic(features, labels)
    assert torch.equal(logits, torch.zeros(6))
    (gradient,) = torch.autograd.grad(logits.sum(), features)
    assert torch.equal(gradient, torch.zeros_like(features))
    assert float(critic_loss(critic, features, features, labels, 0.02).detach()) == pytest.approx(KNOWS_NOTHING)


def test_the_critic_learns_what_tells_real_from_generated_of_a_class(critic: FeatureCritic) -> None:
    # Generated features of one class stand where real ones of the other do: without the label none can be told.
    labels = torch.arange(64) % 2
    stream = torch.Generator().manual_seed(2)
    sign = (2.0 * labels - 1)[:, None]
    optimizer = torch.optim.Adam(critic.head.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        real = torch.randn(64, FEATURES, generator=stream) + sign
        fake = torch.randn(64, FEATURES, generator=stream) - sign
        loss = critic_loss(critic, real, fake, labels, 0.02)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(KNOWS_NOTHING)
    assert losses[-1] < KNOWS_NOTHING / 2


def test_features_are_those_of_frozen_classifiers_standardised(session: Session, critic: FeatureCritic) -> None:
    state = torch.random.get_rng_state()
    learn_features(critic, session.images, training_images=640, seed=1, precision="float32", key=KEY)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(parameter.requires_grad for parameter in critic.networks.parameters())
    assert all(parameter.requires_grad for parameter in critic.head.parameters())
    features = critic.read(torch.from_numpy(session.images.images).float() / 255)
    assert features.shape == (100, FEATURES)
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(FEATURES), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.std(dim=0), torch.ones(FEATURES), atol=1e-2, rtol=0)


def test_a_feature_training_that_diverges_names_its_network(session: Session, critic: FeatureCritic) -> None:
    def poison(_images: int, _note: str) -> None:
        with torch.no_grad():
            next(critic.networks[1].parameters()).fill_(math.nan)  # type: ignore[arg-type]

    with pytest.raises(StageError, match=r"train_stylegan2\.feature_critic\.networks\[1\]: loss is not finite"):
        learn_features(
            critic, session.images, training_images=640, seed=1, precision="float32", key=KEY, advance=poison
        )


def test_the_generator_learns_from_the_critic_too(
    session: Session, trained: Trained, trained_with_critic: Trained
) -> None:
    alone, (taught, both) = trained[1], trained_with_critic
    assert "critic_loss" not in alone.log[0]
    assert all(0 < row["critic_loss"] < 2 * KNOWS_NOTHING for row in both.log)
    assert both.log[0]["critic_loss"] == pytest.approx(KNOWS_NOTHING, abs=0.1)  # it starts from nothing
    assert both.log[0]["generator_loss"] != alone.log[0]["generator_loss"]
    fresh = replace(session, params=taught.params)
    prepare_critic(fresh, start := start_state(fresh))
    held = tensors_of(both)
    for name, tensor in tensors_of(start).items():
        if name.startswith("critic.networks"):
            assert torch.equal(tensor, held[name]), name  # frozen while the generator learns


def test_the_critic_sees_the_constant_noise_and_the_discriminator_fresh_noise(
    taught: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    noises: list[bool] = []
    generator = type(start_state(taught).generator)
    whole = generator.synthesize_raw

    def listen(self: torch.nn.Module, s: torch.Tensor, noise: object = None) -> torch.Tensor:
        noises.append(noise is not None)
        return whole(self, s, noise)  # type: ignore[arg-type]

    monkeypatch.setattr(generator, "synthesize_raw", listen)
    steps = finish(change(taught, total_kimg=1)).images_seen // PARAMS.batch_size
    assert noises == [True, False] * steps


def test_a_run_killed_while_features_are_learned_begins_again(taught: Session) -> None:
    def kill(_images: int, _note: str) -> None:
        raise KilledError

    start = start_state(taught)
    with pytest.raises(KilledError):
        prepare_critic(taught, start, kill)
    assert not taught.snapshot.exists()
    assert count_feature_images(taught, start_state(taught)) == 2 * 640


def test_a_snapshot_brings_its_critic_along_where_it_fits(
    session: Session, trained_with_critic: Trained, tmp_path: Path
) -> None:
    trained = trained_with_critic[1]
    whole, slim = tmp_path / "whole.safetensors", tmp_path / "slim.safetensors"
    save_state(whole, trained)
    change_snapshot(whole, slim, slim=True)

    def start(path: Path, critic: FeatureCriticParams | None, names: list[str] = session.class_names) -> TrainingState:
        there = replace(change(session, "there", feature_critic=critic, total_kimg=9), class_names=names)
        there.folder.mkdir(parents=True, exist_ok=True)
        there.snapshot.write_bytes(path.read_bytes())
        return start_state(there)

    for path in (whole, slim):
        held = start(path, CRITIC)
        assert held.critic_ready
        assert_same(trained, held)
    assert start(whole, None).critic is None
    assert not start(whole, CRITIC.model_copy(update={"width": 8})).critic_ready
    assert not start(whole, CRITIC, [f"other {name}" for name in session.class_names]).critic_ready


MATCHED, SAMPLES = 5, 4000


def draw_features(seed: int, scale: float, shift: float) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    mixing = torch.randn(MATCHED, MATCHED, generator=stream, dtype=torch.float64) * scale
    return torch.randn(SAMPLES, MATCHED, generator=stream, dtype=torch.float64) @ mixing + shift


def see(matching: MomentMatching, features: torch.Tensor, decay: float = 0.0) -> None:
    matching.observe(features.mean(dim=0), features.T @ features / len(features), decay)


@pytest.fixture
def real() -> torch.Tensor:
    return draw_features(1, 1.0, 0.5)


@pytest.fixture
def generated() -> torch.Tensor:
    return draw_features(2, 0.7, 0.0)


@pytest.fixture
def matching(real: torch.Tensor, generated: torch.Tensor) -> MomentMatching:
    matching = MomentMatching(MATCHED)
    matching.take_real(real)
    see(matching, generated)
    return matching


def test_the_loss_is_the_frechet_distance_over_the_real_variance(
    matching: MomentMatching, real: torch.Tensor, generated: torch.Tensor
) -> None:
    distance = frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(generated.numpy()))
    variance = float(np.trace(np.cov(real.numpy().T)))
    assert float(matching.loss(generated)) == pytest.approx(distance / variance, rel=2e-3)


def test_steps_along_its_gradient_give_the_features_the_real_moments(
    matching: MomentMatching, real: torch.Tensor, generated: torch.Tensor
) -> None:
    leaf = generated.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(matching.loss(leaf), leaf)
    variance = matching.real_covariance.trace()
    moved = generated - gradient * SAMPLES * variance / 2  # the whole way
    distance = frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(moved.numpy()))
    assert distance < 1e-3 * frechet_distance(fit_gaussian(real.numpy()), fit_gaussian(generated.numpy()))


def test_equal_moments_give_no_lesson(real: torch.Tensor) -> None:
    matching = MomentMatching(MATCHED)
    matching.take_real(real)
    see(matching, real)
    assert float(matching.loss(real)) == pytest.approx(0, abs=1e-6)


def test_running_moments_forget_with_the_stated_half_life_and_are_ready_in_time(
    real: torch.Tensor, generated: torch.Tensor
) -> None:
    matching = MomentMatching(MATCHED)
    matching.take_real(real)
    decay = 0.5 ** (1 / 10)  # a half-life of ten batches
    ready = []
    for _ in range(10):
        see(matching, generated, decay)
        ready.append(matching.ready)
    assert ready == [False] * 4 + [True] * 6
    assert float(matching.weight) == pytest.approx(0.5)
    for _ in range(14):
        see(matching, real, decay)
    # 24 batches: the transport is that of just now, three times eight
    kept = decay**14
    expected = (generated.mean(dim=0) * kept / 2 + real.mean(dim=0) * (1 - kept)) / (kept / 2 + 1 - kept)
    torch.testing.assert_close(matching.generated_mean, expected)
    assert pytest.approx(1 - 2**-0.5) == READY


def test_root_squares_to_the_matrix() -> None:
    factor = draw_features(3, 1.0, 0.0)[:8]
    matrix = factor.T @ factor
    root = symmetric_root(matrix)
    torch.testing.assert_close(root @ root, matrix)
    torch.testing.assert_close(root, root.T)
