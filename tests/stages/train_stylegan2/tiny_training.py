"""A training of seconds, and what tests ask of its state."""

from dataclasses import replace

import pytest
import torch

from stages.train_stylegan2.params import FeatureCriticParams, FeatureNetworkParams, TrainStylegan2Params
from stages.train_stylegan2.session import count_feature_images, run_session, start_state

PARAMS = TrainStylegan2Params(
    seed=1, total_kimg=3, resume=None, z_dim=8, w_dim=8, mapping_layers=2, generator_channels=[8, 8, 8, 8],
    discriminator_channels=[8, 8, 8, 8], discriminator_stem="space_to_depth", resampling="bilinear",
    noise_scale="channel", minibatch_std_group=4, batch_size=96, precision="float32", learning_rate=0.003,
    decay_fraction=0.5, r1_gamma=0.05, r1_interval_steps=4, ema_kimg=1.0, ema_ramp=0.05, feature_critic=None,
    ada_target=0.1, ada_interval_steps=2, ada_kimg=5.0, snapshot_kimg=1, class_balance=0.0,
)  # fmt: skip
CRITIC = FeatureCriticParams(
    networks=[FeatureNetworkParams(network="plain", width=8), FeatureNetworkParams(network="residual", width=8)],
    training_images=640, width=16, weight=1.0, learning_rate=0.002, r1_gamma=0.02, moment_weight=10.0, moment_kimg=0.5,
)  # fmt: skip
DIGITS = [str(digit) for digit in range(10)]


class KilledError(Exception):
    """Where a test ends a training."""


def change(session, folder="", **params):
    """The session with other params; folder: beside its own, where it starts afresh."""
    root = session.resume_root / folder if folder else session.resume_root
    return replace(session, params=session.params.model_copy(update=params), resume_root=root)


def finish(session, on_tick=lambda _: None):
    """Train a session to its end from where it stands."""
    return run_session(session, start_state(session), on_tick)


def finish_killed(session, logged):
    """Train a session that is killed once it has logged so often, then again to its end."""

    def kill(state):
        if len(state.log) == logged:
            raise KilledError

    with pytest.raises(KilledError):
        finish(session, kill)
    start = start_state(session)
    assert start.images_seen == pytest.approx(1000 * logged, abs=session.params.batch_size)
    assert start.critic is None or (start.critic_ready and count_feature_images(session, start) == 0)
    return finish(session)


def assert_same(first, second):
    """Every tensor of every network is the same to the bit."""
    held = tensors_of(second)
    for name, tensor in tensors_of(first).items():
        assert torch.equal(tensor, held[name]), name


def tensors_of(state):
    networks = {"g": state.generator, "d": state.discriminator, "average": state.average, "critic": state.critic}
    return {
        f"{key}.{name}": tensor for key, net in networks.items() if net for name, tensor in net.state_dict().items()
    }
