"""The slow twin computes what it says: same weights, same images; and its step trains."""

import numpy as np
import pytest
import torch

from benchmarks import _published_step as twin
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from failure_atlas.stylegan2.layers import downsample, upsample

LABELS = torch.arange(5)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorArchitecture(8, 12, 10, 2, (8, 8, 6, 4), 1, "fir")).double()
    for conv in generator.convs:
        torch.nn.init.constant_(conv.noise_strength, 0.1)  # type: ignore[arg-type]
        torch.nn.init.normal_(conv.bias)  # type: ignore[arg-type]
    return generator


@pytest.mark.parametrize("per_sample_weights", [True, False])
def test_same_weights_give_the_same_images(generator: Generator, per_sample_weights: bool) -> None:
    z = torch.randn(5, 8).double()
    noise = [torch.randn(5, 1, px, px).double() for px in generator.noise_resolutions()]
    expected = generator.synthesize_raw(generator.map_styles(generator.map_latents(z, LABELS)), noise)
    images = twin.generate(generator, z, LABELS, noise, per_sample_weights=per_sample_weights)
    torch.testing.assert_close(images, expected)


def test_same_weights_give_the_same_scores_where_stride_makes_no_difference() -> None:
    """Filter, 3 x 3 with stride and halving, 3 x 3 are one where only the middle of the 3 x 3 weights is not zero."""
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorArchitecture(10, (8, 8, 6, 4), 1, "pixels", 5, "fir")).double()
    images = torch.randn(5, 1, 32, 32).double()
    assert not torch.allclose(twin.discriminate(network, images, LABELS), network(images, LABELS))
    for block in network.blocks:
        middle = block.conv1.weight.detach()[:, :, 1:2, 1:2].clone()  # type: ignore[union-attr,index]
        with torch.no_grad():
            block.conv1.weight.zero_()[:, :, 1:2, 1:2] = middle  # type: ignore[union-attr,operator]
    torch.testing.assert_close(twin.discriminate(network, images, LABELS), network(images, LABELS))


def test_filters_equal_those_of_the_project() -> None:
    x = torch.randn(2, 3, 8, 8).double()
    torch.testing.assert_close(twin.double(x), upsample(x, "fir"))
    torch.testing.assert_close(twin.filter_fir(x, padding=1, stride=2), downsample(x, "fir"))


@pytest.mark.parametrize("per_sample_weights", [True, False])
def test_a_step_moves_both_networks_and_the_average(per_sample_weights: bool) -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorArchitecture(8, 8, 10, 2, (8, 8, 6, 4), 1, "fir"))
    critic = Discriminator(DiscriminatorArchitecture(10, (8, 8, 6, 4), 1, "pixels", 4, "fir"))
    state = twin.start_training(
        generator, critic, learning_rate=0.01, r1_interval_steps=2, per_sample_weights=per_sample_weights
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 32, 32), dtype=np.uint8)
    batches = Batches(
        images, np.arange(20) % 10, batch_size=8, z_dim=8, noise_resolutions=generator.noise_resolutions(), seed=1,
        rows=slice(0, 8), device=torch.device("cpu")
    )  # fmt: skip
    before = [p.detach().clone() for net in (generator, critic, state.average) for p in net.parameters()]
    twin.train_step(state, batches, r1_gamma=1.0, r1_interval_steps=2, ema_decay=0.5)
    after = [p.detach() for net in (generator, critic, state.average) for p in net.parameters()]
    moved = [not torch.equal(one, two) for one, two in zip(before, after, strict=True)]
    assert np.mean(moved) > 0.9
    assert all(bool(torch.isfinite(p).all()) for p in after)
    assert steps_of(state.discriminator_optimizer) == 2  # one for the scores, one for R1
    twin.train_step(state, batches, r1_gamma=1.0, r1_interval_steps=2, ema_decay=0.5)
    assert steps_of(state.discriminator_optimizer) == 3
    assert steps_of(state.generator_optimizer) == 2


def steps_of(optimizer: torch.optim.Adam) -> int:
    return max(int(held["step"]) for held in optimizer.state.values())
