"""The averaged generator and the discriminator read back from a snapshot, without a run."""

import pytest
import torch

from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import GeneratorArchitecture, load_generator, save_generator
from failure_atlas.stylegan2.state import KIND, load_discriminator, load_released_generator, new_state, save_state

CPU = torch.device("cpu")


@pytest.fixture
def state():
    return new_state(
        GeneratorArchitecture(4, 4, 3, 2, (4, 4, 4, 4), 1, "bilinear"),
        DiscriminatorArchitecture(3, (4, 4, 4, 4), 1, "space_to_depth", 2, "bilinear"),
        AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=500),
        ["a", "b", "c"],
        learning_rate=0.001,
        seed=1,
        device=CPU,
    )


def test_the_discriminator_scores_as_it_did_in_training(tmp_path, state):
    path = tmp_path / "snapshot.safetensors"
    save_state(path, state)
    discriminator = load_discriminator(path, CPU)
    images, labels = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1, torch.arange(4) % 3
    with torch.no_grad():
        torch.testing.assert_close(discriminator(images, labels), state.discriminator(images, labels))
    assert discriminator.architecture == state.discriminator.architecture
    assert not discriminator.training
    assert not any(parameter.requires_grad for parameter in discriminator.parameters())


def test_a_snapshot_without_a_usable_discriminator_is_named(tmp_path, state):
    path, broken = tmp_path / "snapshot.safetensors", tmp_path / "broken.safetensors"
    save_state(path, state)
    tensors, description = load_tensors(path, KIND)
    few = {name: tensor for name, tensor in tensors.items() if name != "discriminator.dense.weight"}
    other = description | {"discriminator": description["discriminator"] | {"depth": 3}}
    none = {name: value for name, value in description.items() if name != "discriminator"}
    for case in ((few, description), (tensors, other), (tensors, none)):
        save_tensors(broken, *case)
        with pytest.raises(StageError, match=r"broken\.safetensors: holds no discriminator that this version can"):
            load_discriminator(broken, CPU)
    save_tensors(broken, tensors, description | {"kind": "classifier"})
    with pytest.raises(StageError, match="holds a classifier, needed: a stylegan2-snapshot"):
        load_discriminator(broken, CPU)
    with pytest.raises(StageError, match="no such weights file"):
        load_discriminator(tmp_path / "nowhere", CPU)


def test_what_is_released_is_the_average_and_not_what_was_trained_last(tmp_path, state):
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
    with pytest.raises(StageError, match="holds a stylegan2-generator, needed: a stylegan2-snapshot"):
        load_released_generator(tmp_path / "generator.safetensors")
