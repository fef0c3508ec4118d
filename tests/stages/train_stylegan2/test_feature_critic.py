"""The feature critic: what it sees, what it learns, what it teaches, and how its state is kept."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.feature_critic import CriticArchitecture, FeatureCritic, critic_loss, learn_features
from failure_atlas.stylegan2.state import TrainingState, save_state
from stages.train_stylegan2.params import FeatureCriticParams
from stages.train_stylegan2.session import Session, count_feature_images, prepare_critic, start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.stages.train_stylegan2.tiny_training import CRITIC, PARAMS, finish, tensors_of

FEATURES = 4 * 8 + 2 * 8
KEY = "train_stylegan2.feature_critic"
KNOWS_NOTHING = 2 * math.log(2)


@pytest.fixture
def taught(session: Session) -> Session:
    return replace(session, params=PARAMS.model_copy(update={"feature_critic": CRITIC, "total_kimg": 2}))


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
            critic,
            session.images,
            training_images=640,
            seed=1,
            precision="float32",
            key="train_stylegan2.feature_critic",
            advance=poison,
        )


def test_the_generator_learns_from_the_critic_too(session: Session, taught: Session) -> None:
    alone = finish(replace(taught, params=session.params.model_copy(update={"total_kimg": 2})))
    both = finish(taught)
    assert "critic_loss" not in alone.log[0]
    assert all(0 < row["critic_loss"] < 2 * KNOWS_NOTHING for row in both.log)
    assert both.log[0]["critic_loss"] == pytest.approx(KNOWS_NOTHING, abs=0.1)  # it starts from nothing
    assert any(not torch.equal(tensor, tensors_of(both)[name]) for name, tensor in tensors_of(alone).items())
    start = start_state(taught)
    prepare_critic(replace(taught, resume_root=taught.resume_root / "fresh"), start)
    for name, tensor in tensors_of(start).items():
        if name.startswith("critic.networks"):
            assert torch.equal(tensor, tensors_of(both)[name]), name  # frozen while the generator learns


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
    steps = finish(taught).images_seen // PARAMS.batch_size
    assert noises == [True, False] * steps


def test_a_run_killed_while_it_trains_ends_with_the_same_bytes(taught: Session) -> None:
    unbroken = finish(taught)

    class KilledError(Exception):
        pass

    def kill(_state: TrainingState) -> None:
        raise KilledError

    broken = replace(taught, resume_root=taught.resume_root / "broken")
    with pytest.raises(KilledError):
        finish(broken, kill)
    assert start_state(broken).critic_ready
    assert count_feature_images(broken, start_state(broken)) == 0
    resumed = finish(broken)
    for name, tensor in tensors_of(unbroken).items():
        assert torch.equal(tensor, tensors_of(resumed)[name]), name
    assert broken.snapshot.read_bytes() == taught.snapshot.read_bytes()


def test_a_run_killed_while_features_are_learned_begins_again(taught: Session) -> None:
    class KilledError(Exception):
        pass

    def kill(_images: int, _note: str) -> None:
        raise KilledError

    start = start_state(taught)
    with pytest.raises(KilledError):
        prepare_critic(taught, start, kill)
    assert not taught.snapshot.exists()
    assert count_feature_images(taught, start_state(taught)) == 2 * 640


def test_a_snapshot_brings_its_critic_along_where_it_fits(session: Session, taught: Session, tmp_path: Path) -> None:
    trained = finish(taught)
    whole, slim = tmp_path / "whole.safetensors", tmp_path / "slim.safetensors"
    save_state(whole, trained)
    change_snapshot(whole, slim, slim=True)

    def start(path: Path, critic: FeatureCriticParams | None, names: list[str] = session.class_names) -> TrainingState:
        params = PARAMS.model_copy(update={"feature_critic": critic, "total_kimg": 9})
        there = replace(session, params=params, class_names=names, resume_root=tmp_path / "there")
        there.folder.mkdir(parents=True, exist_ok=True)
        there.snapshot.write_bytes(path.read_bytes())
        return start_state(there)

    for path in (whole, slim):
        held = start(path, CRITIC)
        assert held.critic_ready
        for name, tensor in tensors_of(trained).items():
            assert torch.equal(tensor, tensors_of(held)[name]), name
    assert start(whole, None).critic is None
    assert not start(whole, CRITIC.model_copy(update={"width": 8})).critic_ready
    assert not start(whole, CRITIC, [f"other {name}" for name in session.class_names]).critic_ready
