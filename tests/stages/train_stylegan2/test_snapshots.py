"""Snapshots: going on from them, reading networks from them, widening their discriminator."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from failure_atlas.core.weights import PinnedFile, load_tensors, save_tensors
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2 import state as states
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture, load_generator, save_generator
from failure_atlas.stylegan2.widening import widen_discriminator
from stages.train_stylegan2.session import start_state
from stages.train_stylegan2.snapshots import main as change_snapshot
from tests.refusing import refused
from tests.stages.pinning import pin
from tests.stages.train_stylegan2.tiny_training import PARAMS, assert_same, change, finish, finish_killed


def test_a_killed_run_ends_with_the_bytes_of_an_unbroken_one(session, trained_with_critic):
    """Without a critic: test_stage.py, where it is killed from outside."""
    done, unbroken = trained_with_critic
    broken = replace(session, params=done.params)
    resumed = finish_killed(broken, logged=1)
    assert_same(unbroken, resumed)
    assert unbroken.log == resumed.log
    assert broken.snapshot.read_bytes() == done.snapshot.read_bytes()


def test_a_snapshot_leaves_out_the_moment_that_no_step_reads(trained):
    session, state = trained
    assert states.BETAS[0] == 0
    held, _ = load_tensors(session.snapshot, states.KIND)
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


def test_other_params_or_images_never_share_a_resume_folder(session):
    other_params = change(session, learning_rate=0.001)
    other_images = replace(session, images=ImageSet(session.images.images + 1, session.images.labels))
    assert len({session.folder, other_params.folder, other_images.folder}) == 3


def test_resume_goes_on_from_a_snapshot_elsewhere(session, trained):
    resume, clothes = [PinnedFile(**pin(trained[0].snapshot))], [f"garment {label}" for label in range(10)]
    more, nothing_left = change(session, resume=resume, total_kimg=4), change(session, resume=resume)
    assert [round(row["kimg"]) for row in finish(more).log] == [1, 2, 3, 4]
    less, others = change(session, resume=resume, total_kimg=2), replace(nothing_left, class_names=clothes)
    refused(r"total_kimg: got 2; allowed: at least the 3 that .* has seen", finish, less)
    refused(r"has learned 0, 1, .* the images show garment 0, .* set .*total_kimg above", finish, others)
    assert finish(replace(more, class_names=clothes)).class_names == clothes
    assert_same(start_state(nothing_left), finish(nothing_left))
    assert finish(change(session, resume=resume, total_kimg="resumed")).images_seen == trained[1].images_seen


def test_a_slim_snapshot_holds_the_same_networks_and_can_be_trained_on(session, trained, tmp_path):
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


def test_of_several_snapshots_the_one_that_knows_the_classes_is_taken(session, tmp_path):
    clothes = [f"garment {label}" for label in range(10)]
    pinned = []
    for name, class_names in (("digits", session.class_names), ("clothes", clothes)):
        state = start_state(session)
        state.class_names, state.images_seen = class_names, 1000 * len(name)
        states.save_state(tmp_path / name, state)
        pinned.append(PinnedFile(**pin(tmp_path / name)))
    digits = change(session, resume=pinned, total_kimg="resumed")
    assert finish(digits).images_seen == 6000
    assert finish(replace(digits, class_names=clothes)).images_seen == 7000
    others = replace(digits, class_names=["cat", "dog", *"23456789"])
    refused(r"digits: has learned 0, 1, .* the images show cat, dog, .* name a snapshot", finish, others)


def test_a_wrong_resume_file_is_refused(session, tmp_path):
    altered = tmp_path / "altered"
    altered.write_bytes(b"x")
    resumed = change(session, resume=[PinnedFile(path=str(altered), sha256="0" * 64)])
    refused(r"expected SHA-256 0{64}, found 2d711642b726b04401627ca9fbac32f5", start_state, resumed)
    states.save_state(path := session.snapshot, start_state(session))
    wider = start_state(change(session, "other", generator_channels=[8, 8, 8, 16]))
    refused(r"its generator has channels \[8, 8, 8, 8\], the params ask for", states.restore_state, path, wider)
    colours = replace(session.images, images=np.repeat(session.images.images, 3, axis=1))
    coloured = start_state(replace(session, images=colours, resume_root=tmp_path / "other"))
    refused(r"image_channels 1, the data ask for 3; use .*stylegan2.resume: null", states.restore_state, path, coloured)


CPU = torch.device("cpu")


NARROW, WIDE = (8, 8, 6, 4), (8, 12, 10, 4)


def describe(channels, stem="space_to_depth"):
    return DiscriminatorArchitecture(3, channels, 1, stem, 4, "bilinear")


def make_state(channels):
    generator = GeneratorArchitecture(8, 8, 3, 1, (8, 8, 8, 4), 1, "bilinear")
    augmentation = AdaptiveProbability(target=0.0, interval_steps=4, adjustment_kimg=500)
    return states.new_state(
        generator, describe(channels), augmentation, list("abc"), learning_rate=0.01, seed=3, device=CPU
    )


@pytest.fixture
def state():
    return make_state(NARROW)


def draw(count=8):
    random = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, 32, 32, generator=random) * 2 - 1, torch.arange(count) % 3


def test_the_discriminator_scores_as_it_did_in_training_and_one_that_cannot_be_used_is_named(tmp_path, state):
    path, broken = tmp_path / "snapshot.safetensors", tmp_path / "broken.safetensors"
    states.save_state(path, state)
    discriminator = states.load_discriminator(path, CPU)
    with torch.no_grad():
        torch.testing.assert_close(discriminator(*draw()), state.discriminator(*draw()))
    assert discriminator.architecture == state.discriminator.architecture
    assert not discriminator.training
    assert not any(parameter.requires_grad for parameter in discriminator.parameters())
    tensors, description = load_tensors(path, states.KIND)
    few = {name: tensor for name, tensor in tensors.items() if name != "discriminator.dense.weight"}
    other = description | {"discriminator": description["discriminator"] | {"depth": 3}}
    none = {name: value for name, value in description.items() if name != "discriminator"}
    for case in ((few, description), (tensors, other), (tensors, none)):
        save_tensors(broken, *case)
        refused(
            r"broken\.safetensors: holds no discriminator that this version can", states.load_discriminator, broken, CPU
        )


def test_what_is_released_is_the_average_and_not_what_was_trained_last(tmp_path, state):
    with torch.no_grad():
        for parameter in state.average.parameters():
            parameter.add_(0.1)
    states.save_state(tmp_path / "snapshot.safetensors", state)
    save_generator(tmp_path / "generator.safetensors", state.average)
    released = states.load_released_generator(tmp_path / "snapshot.safetensors")
    expected = load_generator(tmp_path / "generator.safetensors", CPU)
    styles = torch.ones(3, expected.style_dimensions)
    torch.testing.assert_close(released.synthesize(styles), expected.synthesize(styles))
    assert not released.training
    assert not any(parameter.requires_grad for parameter in released.parameters())
    path = tmp_path / "generator.safetensors"
    refused("holds a stylegan2-generator, needed: a stylegan2-snapshot", states.load_released_generator, path)


def make_narrow(stem="space_to_depth"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        narrow = Discriminator(describe(NARROW, stem))
        for name, parameter in narrow.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter)
    return narrow


@pytest.mark.parametrize("stem", ["space_to_depth", "pixels"])
@pytest.mark.parametrize("channels", [WIDE, NARROW, (8, 9, 10, 11)])
def test_scores_stay_the_same(channels, stem):
    narrow = make_narrow(stem)
    wide = widen_discriminator(narrow, channels, torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(wide(*draw()), narrow(*draw()), rtol=1e-4, atol=1e-5)
        assert float(narrow(*draw()).std()) > 0.01


def test_more_features_change_nothing_but_the_minibatch_statistic():
    narrow = make_narrow()
    wide = widen_discriminator(narrow, (12, 8, 6, 4), torch.Generator().manual_seed(4))
    images = draw(2)[0].repeat_interleave(4, dim=0)  # groups of equal images, in which nothing varies
    labels = torch.arange(8) % 3
    with torch.no_grad():
        torch.testing.assert_close(wide(images, labels), narrow(images, labels), rtol=1e-4, atol=1e-5)


def test_new_channels_learn():
    wide = widen_discriminator(make_narrow(), (12, 8, 6, 4), torch.Generator().manual_seed(4))
    wide.requires_grad_(True)(*draw()).sum().backward()
    assert wide.embedding.weight.grad[8:].abs().max() > 0
    assert wide.dense.weight.grad[:8, 8 * 16 :].abs().max() > 0


def test_a_widened_snapshot_is_restored_with_all_that_training_knew(tmp_path, state):
    for network in ("generator", "discriminator"):
        for parameter in getattr(state, network).parameters():
            parameter.grad = torch.ones_like(parameter)
        getattr(state, f"{network}_optimizer").step()
    state.images_seen, state.log = 640, [{"kimg": 0.6}]
    states.save_state(tmp_path / "narrow.safetensors", state)
    change_snapshot(tmp_path / "narrow.safetensors", tmp_path / "wide.safetensors", list(WIDE))

    wide = make_state(WIDE)
    states.restore_state(tmp_path / "wide.safetensors", wide)
    assert (wide.images_seen, wide.log, wide.class_names) == (640, [{"kimg": 0.6}], list("abc"))
    with torch.no_grad():
        expected = state.discriminator(*draw())
        torch.testing.assert_close(wide.discriminator(*draw()), expected, rtol=1e-4, atol=1e-5)
    before, after = (load_tensors(tmp_path / f"{name}.safetensors", states.KIND)[0] for name in ("narrow", "wide"))
    for name in before:
        if not name.startswith("discriminator"):
            assert torch.equal(before[name], after[name]), name
    # A weight is scaled by the root of the growth of its fan-in, its gradient by the inverse.
    name = "discriminator_optimizer.blocks.1.conv0.weight.exp_avg_sq"
    torch.testing.assert_close(after[name][:8, :8], before[name] / (12 / 8))
    assert all(torch.isfinite(tensor).all() for tensor in after.values())


@pytest.mark.parametrize("channels", [(8, 8, 6), (8, 8, 5, 4)])
def test_widths_that_are_no_widening_are_refused(channels):
    narrow = Discriminator(describe(NARROW))
    told = r"allowed: 4 widths, each at least \[8, 8, 6, 4\]"
    refused(told, widen_discriminator, narrow, channels, torch.Generator())


def test_one_noise_scale_for_a_layer_becomes_that_of_each_of_its_channels(session, tmp_path):
    """The same function, with all that training knew; the other way round nothing fits."""
    params = {"noise_scale": "layer", "total_kimg": 1}
    before = finish(change(session, "layer", **params))
    states.save_state(tmp_path / "layer.safetensors", before)
    held = PinnedFile(**pin(tmp_path / "layer.safetensors"))
    after = start_state(change(session, "channel", noise_scale="channel", total_kimg=2, resume=[held]))
    s, seeds = torch.randn(3, after.generator.style_dimensions), np.arange(3)
    for name in ("generator", "average"):
        one, other = (getattr(state, name) for state in (before, after))
        images = (each.synthesize_raw(s, each.make_noise(seeds)) for each in (one, other))
        torch.testing.assert_close(*images)
    conv, own = after.generator.convs[0], before.generator.convs[0]
    known = before.generator_optimizer.state[own.noise_strength]
    moments = after.generator_optimizer.state[conv.noise_strength]
    assert moments["step"] == known["step"]
    assert torch.equal(moments["exp_avg_sq"], known["exp_avg_sq"].expand(8, 1, 1))
    finish(change(session, "channel", noise_scale="channel", total_kimg=2, resume=[held]))

    states.save_state(tmp_path / "channel.safetensors", after)
    held = PinnedFile(**pin(tmp_path / "channel.safetensors"))
    wanted = change(session, "back", noise_scale="layer", total_kimg=2, resume=[held])
    refused("its generator has noise_scale channel, the params ask for layer", start_state, wanted)
