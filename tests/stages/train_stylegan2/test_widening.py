"""A widened discriminator says what the narrow one said, and a snapshot with it can be trained on."""

import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture
from failure_atlas.stylegan2.state import KIND, new_state, restore_state, save_state
from failure_atlas.stylegan2.widening import widen_discriminator
from stages.train_stylegan2.snapshots import main

CPU = torch.device("cpu")
NARROW, WIDE = (8, 8, 6, 4), (8, 12, 10, 4)
GENERATOR = GeneratorArchitecture(
    z_dim=8, w_dim=8, num_classes=3, mapping_layers=1, channels=(8, 8, 8, 4), image_channels=1, resampling="bilinear"
)


def describe(channels, stem="space_to_depth"):
    return DiscriminatorArchitecture(
        num_classes=3, channels=channels, image_channels=1, stem=stem, minibatch_std_group=4, resampling="bilinear"
    )


def make_state(channels):
    augmentation = AdaptiveProbability(target=0.0, interval_steps=4, adjustment_kimg=500)
    return new_state(GENERATOR, describe(channels), augmentation, list("abc"), learning_rate=0.01, seed=3, device=CPU)


def make_narrow(stem="space_to_depth"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        narrow = Discriminator(describe(NARROW, stem))
        for name, parameter in narrow.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter)
    return narrow


def draw(count=8):
    random = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, 32, 32, generator=random) * 2 - 1, torch.arange(count) % 3


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


def test_a_widened_snapshot_is_restored_with_all_that_training_knew(tmp_path):
    state = make_state(NARROW)
    for network in ("generator", "discriminator"):
        for parameter in getattr(state, network).parameters():
            parameter.grad = torch.ones_like(parameter)
        getattr(state, f"{network}_optimizer").step()
    state.images_seen, state.log = 640, [{"kimg": 0.6}]
    save_state(tmp_path / "narrow.safetensors", state)
    main(tmp_path / "narrow.safetensors", tmp_path / "wide.safetensors", list(WIDE))

    wide = make_state(WIDE)
    restore_state(tmp_path / "wide.safetensors", wide)
    assert (wide.images_seen, wide.log, wide.class_names) == (640, [{"kimg": 0.6}], list("abc"))
    with torch.no_grad():
        expected = state.discriminator(*draw())
        torch.testing.assert_close(wide.discriminator(*draw()), expected, rtol=1e-4, atol=1e-5)
    before, after = (load_tensors(tmp_path / f"{name}.safetensors", KIND)[0] for name in ("narrow", "wide"))
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
    with pytest.raises(StageError, match=r"allowed: 4 widths, each at least \[8, 8, 6, 4\]"):
        widen_discriminator(narrow, channels, torch.Generator())
