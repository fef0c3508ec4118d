"""The training step, its schedule, resuming, workers and divergence."""

import copy
import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stages.common.errors import StageError
from stages.common.pinned_file import PinnedFile
from stages.prepare_images.store import ImageSet
from stages.train_stylegan2.batches import Batches
from stages.train_stylegan2.losses import discriminator_loss, generator_loss, r1_penalty
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.session import Session, run_session, start_state
from stages.train_stylegan2.slimming import main as slim_down
from stages.train_stylegan2.state import TrainingState, restore_state, save_state
from stages.train_stylegan2.training import Schedule, check_health, check_weights, update_average
from stages.train_stylegan2.workers import PROCESSES_VARIABLE, count_workers

PARAMS = TrainStylegan2Params(
    seed=1,
    total_kimg=3,
    resume=None,
    z_dim=8,
    w_dim=8,
    mapping_layers=2,
    generator_channels=[8, 8, 8, 8],
    discriminator_channels=[8, 8, 8, 8],
    discriminator_stem="space_to_depth",
    resampling="bilinear",
    minibatch_std_group=4,
    batch_size=48,
    precision="float32",
    learning_rate=0.003,
    decay_fraction=0.5,
    r1_gamma=0.05,
    r1_interval_steps=4,
    ema_kimg=1.0,
    ema_ramp=0.05,
    ada_target=0.1,
    ada_interval_steps=2,
    ada_kimg=5.0,
    snapshot_kimg=1,
)
CPU = torch.device("cpu")
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv(PROCESSES_VARIABLE, "1")
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 10
    images = (rng.random((100, 1, 32, 32)) * 20 * (labels[:, None, None, None] + 1)).astype(np.uint8)
    return Session(ImageSet(images, labels), DIGITS, PARAMS, tmp_path / "resume", CPU)


def ignore(_state: TrainingState) -> None:
    """A tick that nobody looks at."""


def tensors_of(state: TrainingState) -> dict[str, torch.Tensor]:
    networks = {"g": state.generator, "d": state.discriminator, "average": state.average}
    return {f"{key}.{name}": tensor for key, net in networks.items() for name, tensor in net.state_dict().items()}


def test_losses_equal_closed_forms() -> None:
    zero = torch.zeros(5)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(generator_loss(zero)) == pytest.approx(math.log(2))
    assert float(discriminator_loss(torch.full((2,), 50.0), torch.full((2,), -50.0))) == pytest.approx(0, abs=1e-6)


def test_r1_of_a_linear_discriminator_is_its_squared_weight() -> None:
    weight = torch.randn(1, 4, 4, dtype=torch.float64)
    images = torch.randn(6, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    logits = (images * weight).sum(dim=(1, 2, 3))
    assert float(r1_penalty(logits, images).detach()) == pytest.approx(float(weight.square().sum()))


def test_learning_rate_falls_linearly_to_zero_at_the_end() -> None:
    schedule = Schedule(1000, 10, 0.004, 0.25, 0.1, 16, 1.0, 0.05)
    assert schedule.learning_rate_at(0) == schedule.learning_rate_at(750) == 0.004
    assert schedule.learning_rate_at(875) == pytest.approx(0.002)
    assert schedule.learning_rate_at(1000) == 0
    assert replace(schedule, decay_fraction=0.0).learning_rate_at(999) == 0.004


def test_average_has_the_stated_half_life() -> None:
    schedule = Schedule(10**6, 100, 0.004, 0.0, 0.1, 16, ema_kimg=1.0, ema_ramp=1.0)
    network, average = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(average.weight, 0.0)
    for _ in range(10):  # ten steps of a hundred images: one half-life
        update_average(average, network, schedule.ema_decay_at(100_000))
    assert float(average.weight.detach()) == pytest.approx(0.5)
    assert schedule.ema_decay_at(200) == pytest.approx(0.5 ** (100 / 200))  # the ramp


def test_each_image_is_seen_once_an_epoch_and_workers_share_the_batch() -> None:
    images, labels = np.arange(30, dtype=np.uint8).reshape(30, 1, 1, 1), np.arange(30) % 10

    def batches(rows: slice) -> Batches:
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


def test_training_improves_on_telling_nothing_apart(session: Session) -> None:
    state = run_session(session, ignore)
    assert state.images_seen >= 3000
    assert [round(row["kimg"]) for row in state.log] == [1, 2, 3]
    assert state.log[-1]["discriminator_loss"] < 2 * math.log(2)
    assert state.augmentation.probability > 0  # the target of 0.1 is passed at once
    assert all(row["r1_penalty"] > 0 for row in state.log)


class Operations(TorchDispatchMode):
    """Notes the names of all operations, those of the backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_a_step_holds_no_operation_that_is_random_on_a_gpu(session: Session) -> None:
    """PyTorch would stop there: deterministic kernels are asked for, and these have none (its documentation's list)."""
    random_on_gpu = {
        "grid_sampler_2d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward",
        "_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "reflection_pad2d_backward",
        "replication_pad2d_backward", "max_unpool2d", "nll_loss2d_backward", "histc", "cumsum", "put_", "kthvalue",
    }  # fmt: skip
    with Operations() as operations:
        state = run_session(session, ignore)
    assert state.augmentation.probability > 0
    # PyTorch itself computes this one in another way on a GPU that has to be deterministic.
    replaced = {"upsample_bilinear2d_backward"}
    assert {"convolution_backward", "gather", *replaced} <= operations.names
    assert not (operations.names - replaced) & random_on_gpu


def test_bfloat16_trains_to_about_the_same_and_keeps_weights_in_float32(session: Session) -> None:
    narrow = replace(session, params=PARAMS.model_copy(update={"precision": "bfloat16"}))
    one, other = run_session(session, ignore), run_session(narrow, ignore)
    for name in ("discriminator_loss", "generator_loss"):
        assert other.log[0][name] == pytest.approx(one.log[0][name], rel=0.05)
        assert other.log[0][name] != one.log[0][name]
    assert all(tensor.dtype == torch.float32 for tensor in tensors_of(other).values())


def test_a_resumed_run_equals_an_unbroken_one(session: Session) -> None:
    unbroken = run_session(session, ignore)

    class KilledError(Exception):
        pass

    def kill(state: TrainingState) -> None:
        if len(state.log) == 2:
            raise KilledError

    broken = replace(session, resume_root=session.resume_root / "broken")
    with pytest.raises(KilledError):
        run_session(broken, kill)
    assert start_state(broken).images_seen == pytest.approx(2000, abs=PARAMS.batch_size)
    resumed = run_session(broken, ignore)
    for name, tensor in tensors_of(unbroken).items():
        assert torch.equal(tensor, tensors_of(resumed)[name]), name
    assert unbroken.log == resumed.log
    assert broken.snapshot.read_bytes() == session.snapshot.read_bytes()


def test_other_params_or_images_never_share_a_resume_folder(session: Session) -> None:
    other_params = replace(session, params=PARAMS.model_copy(update={"learning_rate": 0.001}))
    other_images = replace(session, images=ImageSet(session.images.images + 1, session.images.labels))
    assert len({session.folder, other_params.folder, other_images.folder}) == 3


def test_two_workers_take_the_steps_of_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # Few steps: rounding differs, and adversarial training doubles every difference soon.
    short = replace(session, params=PARAMS.model_copy(update={"total_kimg": 1, "batch_size": 200, "ada_target": 0.0}))
    alone = run_session(short, ignore)
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    pair = [run_session(replace(short, resume_root=short.resume_root / name), ignore) for name in "ab"]
    for name, tensor in tensors_of(alone).items():
        torch.testing.assert_close(tensors_of(pair[0])[name], tensor, atol=2e-3, rtol=1e-2, msg=name)
        assert torch.equal(tensors_of(pair[0])[name], tensors_of(pair[1])[name]), name


def test_a_dead_worker_is_an_error_that_names_it(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    # The first worker has a snapshot open; the helper finds a damaged one and dies while it starts.
    state = start_state(session)

    def damage(_: TrainingState) -> None:
        raise AssertionError("no step can be finished without the helper")

    monkeypatch.setattr("stages.train_stylegan2.session.start_state", lambda _session: state)
    save_state(session.snapshot, state)
    session.snapshot.write_bytes(b"cut")
    with pytest.raises(StageError, match="worker 1 of 2 died with exit code 1"):
        run_session(session, damage)


@pytest.mark.parametrize(("wanted", "message"), [("3", "allowed"), ("two", "got 'two'"), ("0", "got '0'")])
def test_impossible_worker_counts_are_refused(monkeypatch: pytest.MonkeyPatch, wanted: str, message: str) -> None:
    monkeypatch.setenv(PROCESSES_VARIABLE, wanted)
    with pytest.raises(StageError, match=message):
        count_workers(32, 8, CPU)


def test_worker_count_divides_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROCESSES_VARIABLE, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(7)))
    assert count_workers(32, 8, CPU) == 4
    assert count_workers(32, 32, CPU) == 1
    assert count_workers(32, 8, torch.device("cuda")) == 1


def healthy_row() -> dict[str, float]:
    return {"discriminator_loss": 1.0, "generator_loss": 1.0, "logit_spread": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator_loss": math.nan}, "diverged before 7 kimg: generator_loss is nan"),
        ({"logit_spread": 0.0}, "died before 7 kimg"),
        ({"discriminator_loss": 1e-6}, "won before 7 kimg"),
    ],
)
def test_divergence_stops_training(change: dict[str, float], message: str) -> None:
    check_health(healthy_row(), 7000)
    with pytest.raises(StageError, match=message):
        check_health(healthy_row() | change, 7000)


def test_divergence_names_the_last_good_snapshot_and_keeps_it(session: Session) -> None:
    def poison(state: TrainingState) -> None:
        if len(state.log) == 2:
            with torch.no_grad():
                state.generator.constant.fill_(math.nan)

    with pytest.raises(StageError, match=r"diverged before 3.* the last good snapshot is .*snapshot.safetensors"):
        run_session(session, poison)
    kept = start_state(session)
    check_weights(kept)
    assert kept.images_seen == pytest.approx(2000, abs=PARAMS.batch_size)


def test_resume_goes_on_from_a_snapshot_elsewhere(session: Session, tmp_path: Path) -> None:
    run_session(session, ignore)
    snapshot = tmp_path / "released.safetensors"
    snapshot.write_bytes(session.snapshot.read_bytes())
    resume = PinnedFile(path=str(snapshot), sha256=hashlib.sha256(snapshot.read_bytes()).hexdigest())
    more = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": 4}))
    state = run_session(more, ignore)
    assert [round(row["kimg"]) for row in state.log] == [1, 2, 3, 4]
    less = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": 2}))
    with pytest.raises(StageError, match=r"total_kimg: got 2; allowed: at least the 3 that .* has seen"):
        run_session(less, ignore)
    nothing_left = replace(session, params=PARAMS.model_copy(update={"resume": [resume]}))
    clothes = [f"garment {label}" for label in range(10)]
    with pytest.raises(StageError, match=r"has learned 0, 1, .* the images show garment 0, .* set .*total_kimg above"):
        run_session(replace(nothing_left, class_names=clothes), ignore)
    as_it_is = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": "resumed"}))
    assert run_session(as_it_is, ignore).images_seen == run_session(nothing_left, ignore).images_seen
    transferred = run_session(replace(more, class_names=clothes), ignore)
    assert transferred.class_names == clothes
    before = tensors_of(start_state(nothing_left))
    after = tensors_of(run_session(nothing_left, ignore))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_slim_snapshot_holds_the_same_networks_and_can_be_trained_on(session: Session, tmp_path: Path) -> None:
    whole = run_session(session, ignore)
    slim_down(session.snapshot, tmp_path / "slim")
    assert (tmp_path / "slim").stat().st_size < 0.6 * session.snapshot.stat().st_size
    resume = [
        PinnedFile(path=str(tmp_path / "slim"), sha256=hashlib.sha256((tmp_path / "slim").read_bytes()).hexdigest())
    ]
    elsewhere = replace(session, resume_root=tmp_path / "elsewhere")
    slim = start_state(replace(elsewhere, params=PARAMS.model_copy(update={"resume": resume, "total_kimg": "resumed"})))
    held = tensors_of(slim)
    assert all(torch.equal(tensor, held[name]) for name, tensor in tensors_of(whole).items())
    assert (slim.images_seen, slim.log) == (whole.images_seen, whole.log)
    assert not slim.generator_optimizer.state
    more = replace(elsewhere, params=PARAMS.model_copy(update={"resume": resume, "total_kimg": 4}))
    assert run_session(more, ignore).images_seen >= 4000


def test_of_several_snapshots_the_one_that_knows_the_classes_is_taken(session: Session, tmp_path: Path) -> None:
    clothes = [f"garment {label}" for label in range(10)]
    pinned = []
    for name, class_names in (("digits", session.class_names), ("clothes", clothes)):
        state = start_state(session)
        state.class_names, state.images_seen = class_names, 1000 * len(name)
        save_state(tmp_path / name, state)
        pinned.append(
            PinnedFile(path=str(tmp_path / name), sha256=hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
        )
    params = PARAMS.model_copy(update={"resume": pinned, "total_kimg": "resumed"})
    assert run_session(replace(session, params=params), ignore).images_seen == 6000
    assert run_session(replace(session, params=params, class_names=clothes), ignore).images_seen == 7000
    strangers = replace(session, params=params, class_names=["cat", "dog", *"23456789"])
    with pytest.raises(StageError, match=r"digits: has learned 0, 1, .* the images show cat, dog, .* name a snapshot"):
        run_session(strangers, ignore)


def test_a_wrong_resume_file_is_refused(session: Session, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    altered.write_bytes(b"x")
    resume = PinnedFile(path=str(altered), sha256="0" * 64)
    with pytest.raises(StageError, match=r"expected SHA-256 0{64}, found 2d711642b726b04401627ca9fbac32f5"):
        start_state(replace(session, params=PARAMS.model_copy(update={"resume": [resume]})))
    save_state(session.snapshot, start_state(session))
    wider = replace(session, params=PARAMS.model_copy(update={"generator_channels": [8, 8, 8, 16]}))
    with pytest.raises(StageError, match=r"its generator has channels \[8, 8, 8, 8\], the params ask for"):
        restore_state(session.snapshot, start_state(wider))
    colours = replace(session.images, images=np.repeat(session.images.images, 3, axis=1))
    coloured = start_state(replace(session, images=colours, resume_root=tmp_path / "other"))
    with pytest.raises(
        StageError, match=r"image_channels 1, the data ask for 3; use the snapshot's data, or .*stylegan2.resume: null"
    ):
        restore_state(session.snapshot, coloured)


def test_image_size_must_fit_the_widths(session: Session) -> None:
    wrong = replace(session, params=PARAMS.model_copy(update={"generator_channels": [8, 8, 8, 8, 8]}))
    with pytest.raises(StageError, match="5 widths make 64 px images, the data's are 32 x 32 px"):
        start_state(wrong)


def test_the_average_is_a_copy_that_training_leaves_alone(session: Session) -> None:
    state = start_state(session)
    before = copy.deepcopy(state.average.state_dict())
    with torch.no_grad():
        state.generator.constant.add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.average.state_dict().items())
