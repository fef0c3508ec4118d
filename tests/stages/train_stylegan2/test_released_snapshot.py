"""The averaged generator of a snapshot, without a run."""

import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture, load_generator, save_generator
from failure_atlas.stylegan2.state import load_released_generator, new_state, save_state

CPU = torch.device("cpu")


def test_it_is_the_average_and_not_what_was_trained_last(tmp_path):
    shared = {"num_classes": 2, "image_channels": 1, "resampling": "bilinear"}
    state = new_state(
        GeneratorArchitecture(z_dim=4, w_dim=4, mapping_layers=1, channels=(8, 8, 8, 4), **shared),
        DiscriminatorArchitecture(channels=(8, 8, 8, 4), stem="pixels", minibatch_std_group=2, **shared),
        AdaptiveProbability(target=0.0, interval_steps=4, adjustment_kimg=500),
        ["a", "b"],
        learning_rate=0.01,
        seed=1,
        device=CPU,
    )
    with torch.no_grad():
        for parameter in state.average.parameters():
            parameter.add_(0.1)
    save_state(tmp_path / "snapshot.safetensors", state)
    save_generator(tmp_path / "generator.safetensors", state.average)
    released = load_released_generator(tmp_path / "snapshot.safetensors")
    expected = load_generator(tmp_path / "generator.safetensors", CPU)
    styles = torch.ones(3, expected.style_dimensions)
    torch.testing.assert_close(released.synthesize(styles), expected.synthesize(styles))
    assert not released.training
    assert not any(parameter.requires_grad for parameter in released.parameters())


def test_what_holds_no_generator_is_named(tmp_path, tiny_generator):
    with pytest.raises(StageError, match=r"gone\.safetensors: no such weights file"):
        load_released_generator(tmp_path / "gone.safetensors")
    with pytest.raises(StageError, match="holds a stylegan2-generator, needed: a stylegan2-snapshot"):
        load_released_generator(tiny_generator)
