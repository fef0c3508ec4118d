"""The training step, its schedule, resuming, workers and divergence."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import discriminator_loss, generator_loss, r1_penalty
from failure_atlas.stylegan2.state import save_state
from stages.train_stylegan2.session import run_session, start_state
from stages.train_stylegan2.training import Schedule, check_health, check_weights, update_average
from stages.train_stylegan2.workers import PROCESSES_VARIABLE, count_workers
from tests.refusing import refused
from tests.stages.train_stylegan2.tiny_training import CRITIC, PARAMS, change, finish, tensors_of

CPU = torch.device("cpu")


def test_losses_equal_closed_forms():
    zero = torch.zeros(5)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(generator_loss(zero)) == pytest.approx(math.log(2))
    assert float(discriminator_loss(torch.full((2,), 50.0), torch.full((2,), -50.0))) == pytest.approx(0, abs=1e-6)


def test_r1_of_a_linear_discriminator_is_its_squared_weight():
    weight = torch.randn(1, 4, 4, dtype=torch.float64)
    images = torch.randn(6, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    logits = (images * weight).sum(dim=(1, 2, 3))
    assert float(r1_penalty(logits, images).detach()) == pytest.approx(float(weight.square().sum()))


def test_learning_rate_falls_linearly_to_zero_at_the_end():
    params = PARAMS.model_copy(update={"learning_rate": 0.004, "decay_fraction": 0.25})
    rates = [Schedule(params, 1000).learning_rate_at(seen) for seen in (0, 750, 875, 1000)]
    assert rates == [0.004, 0.004, pytest.approx(0.002), 0]
    assert Schedule(params.model_copy(update={"decay_fraction": 0.0}), 1000).learning_rate_at(999) == 0.004


def test_average_has_the_stated_half_life():
    schedule = Schedule(PARAMS.model_copy(update={"batch_size": 100, "ema_kimg": 1.0, "ema_ramp": 1.0}), 10**6)
    network, average = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(average.weight, 0.0)
    for _ in range(10):  # ten steps of a hundred images: one half-life
        update_average(average, network, schedule.ema_decay_at(100_000))
    assert average.weight.item() == pytest.approx(0.5)
    assert schedule.ema_decay_at(200) == pytest.approx(0.5 ** (100 / 200))  # the ramp


@pytest.mark.parametrize(("balance", "shares"), [(0.0, [0.8, 0.15, 0.05]), (0.5, None), (1.0, [1 / 3] * 3)])
def test_rare_classes_are_shown_as_often_as_the_balance_says(balance, shares):
    labels = np.repeat([0, 1, 2], [320, 60, 20])
    images = np.arange(400).astype(np.uint8).reshape(400, 1, 1, 1)
    whole = Batches(
        images, labels, batch_size=40, z_dim=3, noise_resolutions=[4], seed=5, rows=slice(0, 40), device=CPU,
        balance=balance,
    )  # fmt: skip
    seen = np.concatenate([whole.indices(step) for step in range(10)])
    expected = np.sqrt([320, 60, 20]) / np.sqrt([320, 60, 20]).sum() if shares is None else np.array(shares)
    assert np.bincount(labels[seen]) == pytest.approx(400 * expected, abs=1)
    often = np.bincount(seen, minlength=400)
    for label in range(3):  # within a class no image again before all others
        assert np.ptp(often[labels == label]) <= 1
    again = np.concatenate([whole.indices(10 + step) for step in range(10)])
    assert not np.array_equal(seen, again)


def test_each_image_is_seen_once_an_epoch_and_workers_share_the_batch():
    images, labels = np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1), np.arange(30) % 10

    def batches(rows):
        return Batches(images, labels, batch_size=10, z_dim=3, noise_resolutions=[4], seed=5, rows=rows, device=CPU)

    whole, first, second = batches(slice(0, 10)), batches(slice(0, 5)), batches(slice(5, 10))
    for epoch in (0, 1):
        seen = np.concatenate([whole.indices(epoch * 3 + step) for step in range(3)])
        assert sorted(seen) == list(range(30))
    for step in range(3):
        parts = [part.draw(step) for part in (first, second)]
        together = whole.draw(step)
        assert torch.equal(torch.cat([part.z for part in parts]), together.z)
        assert torch.equal(torch.cat([part.real for part in parts]), together.real)
        assert torch.equal(torch.cat([part.noise[0] for part in parts]), together.noise[0])
    assert not np.array_equal(whole.indices(0), whole.indices(3))


def test_training_improves_on_telling_nothing_apart(trained):
    _, state = trained
    assert state.images_seen >= 3000
    assert [round(row["kimg"]) for row in state.log] == [1, 2, 3]
    assert state.log[-1]["discriminator_loss"] < 2 * math.log(2)
    assert state.augmentation.probability > 0  # the target of 0.1 is passed at once
    assert all(row["r1_penalty"] > 0 for row in state.log)


class Operations(TorchDispatchMode):
    """Notes the names of all operations, those of the backward pass too."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_a_step_holds_no_operation_that_is_random_on_a_gpu(session):
    """PyTorch would stop there: deterministic kernels are asked for, and these have none (its documentation's list)."""
    random_on_gpu = {
        "grid_sampler_2d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward",
        "_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "reflection_pad2d_backward",
        "replication_pad2d_backward", "max_unpool2d", "nll_loss2d_backward", "histc", "cumsum", "put_", "kthvalue"
    }  # fmt: skip
    with Operations() as operations:
        state = finish(change(session, total_kimg=1))
    assert state.augmentation.probability > 0
    # PyTorch itself computes this one in another way on a GPU that has to be deterministic.
    replaced = {"upsample_bilinear2d_backward"}
    assert {"convolution_backward", "gather", *replaced} <= operations.names
    assert not (operations.names - replaced) & random_on_gpu


def test_bfloat16_trains_to_about_the_same_and_keeps_weights_in_float32(session):
    one, other = (finish(change(session, precision=kind, total_kimg=1)) for kind in ("float32", "bfloat16"))
    for name in ("discriminator_loss", "generator_loss"):
        assert other.log[0][name] == pytest.approx(one.log[0][name], rel=0.05)
        assert other.log[0][name] != one.log[0][name]
    assert all(tensor.dtype == torch.float32 for tensor in tensors_of(other).values())


@pytest.mark.parametrize("critic", [None, CRITIC])
def test_two_workers_take_the_steps_of_one(session, monkeypatch, critic):
    # Few steps: rounding differs, and adversarial training doubles every difference soon.
    short = change(session, total_kimg=1, batch_size=200, ada_target=0.0, feature_critic=critic)
    alone = finish(short)
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    pair = tensors_of(finish(change(short, "pair")))
    for name, tensor in tensors_of(alone).items():
        torch.testing.assert_close(pair[name], tensor, atol=2e-3, rtol=1e-2, msg=name)


def test_a_dead_worker_is_an_error_that_names_it(session, monkeypatch):
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    # The first worker has a snapshot open; the helper finds a damaged one and dies while it starts.
    state = start_state(session)

    def damage(_):
        raise AssertionError("no step can be finished without the helper")

    save_state(session.snapshot, state)
    session.snapshot.write_bytes(b"cut")
    refused("worker 1 of 2 died with exit code 1", run_session, session, state, damage)


def test_worker_count_divides_the_batch_and_impossible_ones_are_refused(monkeypatch):
    monkeypatch.delenv(PROCESSES_VARIABLE, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(7)))
    assert (count_workers(32, 8, CPU), count_workers(32, 32, CPU)) == (4, 1)
    assert count_workers(32, 8, torch.device("cuda")) == 1
    for wanted, message in {"3": "allowed", "two": "got 'two'", "0": "got '0'"}.items():
        monkeypatch.setenv(PROCESSES_VARIABLE, wanted)
        refused(message, count_workers, 32, 8, CPU)


DIVERGED = [
    ({"generator_loss": math.nan}, "diverged before 7 kimg: generator_loss is nan"),
    ({"logit_spread": 0.0}, "died before 7 kimg"),
    ({"discriminator_loss": 1e-6}, "won before 7 kimg"),
]


@pytest.mark.parametrize(("row", "message"), DIVERGED)
def test_divergence_stops_training(row, message):
    healthy = {"discriminator_loss": 1.0, "generator_loss": 1.0, "logit_spread": 0.5}
    check_health(healthy, 7000)
    refused(message, check_health, healthy | row, 7000)


def test_divergence_names_the_last_good_snapshot_and_keeps_it(session):
    def poison(state):
        if len(state.log) == 2:
            with torch.no_grad():
                state.generator.constant.fill_(math.nan)

    refused(r"diverged before 3.* the last good snapshot is .*snapshot.safetensors", finish, session, poison)
    kept = start_state(session)
    check_weights(kept)
    assert kept.images_seen == pytest.approx(2000, abs=PARAMS.batch_size)
