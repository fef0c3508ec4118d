"""Going on: from a killed run's snapshot, from one named in the params, from a slim one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import PinnedFile, load_tensors
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.state import BETAS, KIND, restore_state, save_state
from stages.train_stylegan2.params import FeatureCriticParams
from stages.train_stylegan2.session import Session, start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.stages.pinning import pin
from tests.stages.train_stylegan2.conftest import Trained
from tests.stages.train_stylegan2.tiny_training import CRITIC, PARAMS, assert_same, change, finish, finish_killed


@pytest.mark.parametrize("critic", [None, CRITIC])
def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(
    session: Session, trained: Trained, trained_with_critic: Trained, critic: FeatureCriticParams | None
) -> None:
    done, unbroken = trained_with_critic if critic else trained
    broken = replace(session, params=done.params)
    resumed = finish_killed(broken, logged=1)
    assert_same(unbroken, resumed)
    assert unbroken.log == resumed.log
    assert broken.snapshot.read_bytes() == done.snapshot.read_bytes()


def test_a_snapshot_leaves_out_the_moment_that_no_step_reads(trained: Trained) -> None:
    session, state = trained
    assert BETAS[0] == 0
    held, _ = load_tensors(session.snapshot, KIND)
    assert not any(name.endswith(".exp_avg") for name in held)
    restored = start_state(session)
    for each in (state, restored):
        for network in ("generator", "discriminator"):
            for parameter in getattr(each, network).parameters():
                parameter.grad = torch.full_like(parameter, 0.25)
            optimizer = getattr(each, f"{network}_optimizer")
            optimizer.param_groups[0]["lr"] = PARAMS.learning_rate  # as each step of a training sets it
            optimizer.step()
    assert_same(state, restored)


def test_other_params_or_images_never_share_a_resume_folder(session: Session) -> None:
    other_params = change(session, learning_rate=0.001)
    other_images = replace(session, images=ImageSet(session.images.images + 1, session.images.labels))
    assert len({session.folder, other_params.folder, other_images.folder}) == 3


def test_resume_goes_on_from_a_snapshot_elsewhere(session: Session, trained: Trained) -> None:
    resume, clothes = [PinnedFile(**pin(trained[0].snapshot))], [f"garment {label}" for label in range(10)]
    more, nothing_left = change(session, resume=resume, total_kimg=4), change(session, resume=resume)
    assert [round(row["kimg"]) for row in finish(more).log] == [1, 2, 3, 4]
    with pytest.raises(StageError, match=r"total_kimg: got 2; allowed: at least the 3 that .* has seen"):
        finish(change(session, resume=resume, total_kimg=2))
    with pytest.raises(StageError, match=r"has learned 0, 1, .* the images show garment 0, .* set .*total_kimg above"):
        finish(replace(nothing_left, class_names=clothes))
    assert finish(replace(more, class_names=clothes)).class_names == clothes
    assert_same(start_state(nothing_left), finish(nothing_left))
    assert finish(change(session, resume=resume, total_kimg="resumed")).images_seen == trained[1].images_seen


def test_a_slim_snapshot_holds_the_same_networks_and_can_be_trained_on(
    session: Session, trained: Trained, tmp_path: Path
) -> None:
    done, whole = trained
    change_snapshot(done.snapshot, tmp_path / "slim", slim=True)
    networks = (whole.generator, whole.discriminator)
    moments = sum(parameter.numel() * 4 for network in networks for parameter in network.parameters())
    assert done.snapshot.stat().st_size - (tmp_path / "slim").stat().st_size > moments
    resume = [PinnedFile(**pin(tmp_path / "slim"))]
    slim = start_state(change(session, resume=resume, total_kimg="resumed"))
    assert_same(whole, slim)
    assert (slim.images_seen, slim.log) == (whole.images_seen, whole.log)
    assert not slim.generator_optimizer.state
    assert finish(change(session, resume=resume, total_kimg=4)).images_seen >= 4000


def test_of_several_snapshots_the_one_that_knows_the_classes_is_taken(session: Session, tmp_path: Path) -> None:
    clothes = [f"garment {label}" for label in range(10)]
    pinned = []
    for name, class_names in (("digits", session.class_names), ("clothes", clothes)):
        state = start_state(session)
        state.class_names, state.images_seen = class_names, 1000 * len(name)
        save_state(tmp_path / name, state)
        pinned.append(PinnedFile(**pin(tmp_path / name)))
    digits = change(session, resume=pinned, total_kimg="resumed")
    assert finish(digits).images_seen == 6000
    assert finish(replace(digits, class_names=clothes)).images_seen == 7000
    with pytest.raises(StageError, match=r"digits: has learned 0, 1, .* the images show cat, dog, .* name a snapshot"):
        finish(replace(digits, class_names=["cat", "dog", *"23456789"]))


def test_a_wrong_resume_file_is_refused(session: Session, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    altered.write_bytes(b"x")
    resume = PinnedFile(path=str(altered), sha256="0" * 64)
    with pytest.raises(StageError, match=r"expected SHA-256 0{64}, found 2d711642b726b04401627ca9fbac32f5"):
        start_state(change(session, resume=[resume]))
    save_state(session.snapshot, start_state(session))
    wider = change(session, generator_channels=[8, 8, 8, 16])
    with pytest.raises(StageError, match=r"its generator has channels \[8, 8, 8, 8\], the params ask for"):
        restore_state(session.snapshot, start_state(wider))
    colours = replace(session.images, images=np.repeat(session.images.images, 3, axis=1))
    coloured = start_state(replace(session, images=colours, resume_root=tmp_path / "other"))
    with pytest.raises(
        StageError, match=r"image_channels 1, the data ask for 3; use the snapshot's data, or .*stylegan2.resume: null"
    ):
        restore_state(session.snapshot, coloured)
