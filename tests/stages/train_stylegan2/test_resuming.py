"""Going on: from a killed run's snapshot, from one named in the params, from a slim one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import PinnedFile, load_tensors
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.state import BETAS, KIND, TrainingState, restore_state, save_state
from stages.train_stylegan2.session import Session, start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.stages.pinning import pin
from tests.stages.train_stylegan2.tiny_training import PARAMS, finish, tensors_of


def test_a_resumed_run_equals_an_unbroken_one(session: Session) -> None:
    unbroken = finish(session)

    class KilledError(Exception):
        pass

    def kill(state: TrainingState) -> None:
        if len(state.log) == 2:
            raise KilledError

    broken = replace(session, resume_root=session.resume_root / "broken")
    with pytest.raises(KilledError):
        finish(broken, kill)
    assert start_state(broken).images_seen == pytest.approx(2000, abs=PARAMS.batch_size)
    resumed = finish(broken)
    for name, tensor in tensors_of(unbroken).items():
        assert torch.equal(tensor, tensors_of(resumed)[name]), name
    assert unbroken.log == resumed.log
    assert broken.snapshot.read_bytes() == session.snapshot.read_bytes()


def test_a_snapshot_leaves_out_the_moment_that_no_step_reads(session: Session) -> None:
    state = finish(session)
    assert BETAS[0] == 0
    held, _ = load_tensors(session.snapshot, KIND)
    assert not any(name.endswith(".exp_avg") for name in held)
    restored = start_state(session)
    for now, then in ((state.generator, restored.generator), (state.discriminator, restored.discriminator)):
        for network in (now, then):
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 0.25)
    for each in (state, restored):
        for optimizer in (each.generator_optimizer, each.discriminator_optimizer):
            optimizer.param_groups[0]["lr"] = PARAMS.learning_rate  # as each step of a training sets it
            optimizer.step()
    for name, tensor in tensors_of(state).items():
        assert torch.equal(tensor, tensors_of(restored)[name]), name


def test_other_params_or_images_never_share_a_resume_folder(session: Session) -> None:
    other_params = replace(session, params=PARAMS.model_copy(update={"learning_rate": 0.001}))
    other_images = replace(session, images=ImageSet(session.images.images + 1, session.images.labels))
    assert len({session.folder, other_params.folder, other_images.folder}) == 3


def test_resume_goes_on_from_a_snapshot_elsewhere(session: Session, tmp_path: Path) -> None:
    finish(session)
    snapshot = tmp_path / "released.safetensors"
    snapshot.write_bytes(session.snapshot.read_bytes())
    resume = PinnedFile(**pin(snapshot))
    more = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": 4}))
    state = finish(more)
    assert [round(row["kimg"]) for row in state.log] == [1, 2, 3, 4]
    less = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": 2}))
    with pytest.raises(StageError, match=r"total_kimg: got 2; allowed: at least the 3 that .* has seen"):
        finish(less)
    nothing_left = replace(session, params=PARAMS.model_copy(update={"resume": [resume]}))
    clothes = [f"garment {label}" for label in range(10)]
    with pytest.raises(StageError, match=r"has learned 0, 1, .* the images show garment 0, .* set .*total_kimg above"):
        finish(replace(nothing_left, class_names=clothes))
    as_it_is = replace(session, params=PARAMS.model_copy(update={"resume": [resume], "total_kimg": "resumed"}))
    assert finish(as_it_is).images_seen == finish(nothing_left).images_seen
    transferred = finish(replace(more, class_names=clothes))
    assert transferred.class_names == clothes
    before = tensors_of(start_state(nothing_left))
    after = tensors_of(finish(nothing_left))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_slim_snapshot_holds_the_same_networks_and_can_be_trained_on(session: Session, tmp_path: Path) -> None:
    whole = finish(session)
    change_snapshot(session.snapshot, tmp_path / "slim", slim=True)
    moments = sum(
        parameter.numel() * 4
        for network in (whole.generator, whole.discriminator)
        for parameter in network.parameters()
    )
    assert session.snapshot.stat().st_size - (tmp_path / "slim").stat().st_size > moments
    resume = [PinnedFile(**pin(tmp_path / "slim"))]
    elsewhere = replace(session, resume_root=tmp_path / "elsewhere")
    slim = start_state(replace(elsewhere, params=PARAMS.model_copy(update={"resume": resume, "total_kimg": "resumed"})))
    held = tensors_of(slim)
    assert all(torch.equal(tensor, held[name]) for name, tensor in tensors_of(whole).items())
    assert (slim.images_seen, slim.log) == (whole.images_seen, whole.log)
    assert not slim.generator_optimizer.state
    more = replace(elsewhere, params=PARAMS.model_copy(update={"resume": resume, "total_kimg": 4}))
    assert finish(more).images_seen >= 4000


def test_of_several_snapshots_the_one_that_knows_the_classes_is_taken(session: Session, tmp_path: Path) -> None:
    clothes = [f"garment {label}" for label in range(10)]
    pinned = []
    for name, class_names in (("digits", session.class_names), ("clothes", clothes)):
        state = start_state(session)
        state.class_names, state.images_seen = class_names, 1000 * len(name)
        save_state(tmp_path / name, state)
        pinned.append(PinnedFile(**pin(tmp_path / name)))
    params = PARAMS.model_copy(update={"resume": pinned, "total_kimg": "resumed"})
    assert finish(replace(session, params=params)).images_seen == 6000
    assert finish(replace(session, params=params, class_names=clothes)).images_seen == 7000
    strangers = replace(session, params=params, class_names=["cat", "dog", *"23456789"])
    with pytest.raises(StageError, match=r"digits: has learned 0, 1, .* the images show cat, dog, .* name a snapshot"):
        finish(strangers)


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
