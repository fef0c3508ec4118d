"""The slow twin computes what it says: same weights, same images; its step trains; and both are looked at in turns."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import _published_step as twin
from benchmarks import run_benchmark, time_to_quality
from failure_atlas.core.arrays import write_arrays
from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.batches import Batches
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture
from failure_atlas.stylegan2.layers import downsample, upsample
from stages.common.artefacts.images import named_arrays
from tests import yaml12 as yaml
from tests.house import ROOT

LABELS = torch.arange(5)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorArchitecture(8, 12, 10, 2, (8, 8, 6, 4), 1, "fir")).double()
    for conv in generator.convs:
        torch.nn.init.constant_(conv.noise_strength, 0.1)  # type: ignore[arg-type]
        torch.nn.init.normal_(conv.bias)  # type: ignore[arg-type]
    return generator


def test_same_weights_give_the_same_images(generator: Generator) -> None:
    z = torch.randn(5, 8).double()
    noise = [torch.randn(5, 1, px, px).double() for px in generator.noise_resolutions()]
    expected = generator.synthesize_raw(generator.map_styles(generator.map_latents(z, LABELS)), noise)
    images = twin.generate(generator, z, LABELS, noise)
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


def test_a_step_moves_both_networks_and_the_average() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorArchitecture(8, 8, 10, 2, (8, 8, 6, 4), 1, "fir"))
    critic = Discriminator(DiscriminatorArchitecture(10, (8, 8, 6, 4), 1, "pixels", 4, "fir"))
    state = twin.start_training(generator, critic, learning_rate=0.01, r1_interval_steps=2)
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


def test_both_trainings_are_looked_at_after_each_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tiny = {"z_dim": 8, "w_dim": 8, "generator_channels": [4] * 4, "discriminator_channels": [4] * 4}
    sections["train_stylegan2"] |= tiny
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 32, 32), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(40) % 10)
    arrays = named_arrays("train", images) | named_arrays("test", images)
    write_arrays(tmp_path / "images.zarr", arrays, {"class_names": [*"0123456789"]})
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    time_to_quality.main(tmp_path / "images.zarr", 0.02, 0.01, 1e9, 100, tmp_path / "params.yaml")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    shown = capsys.readouterr().out
    for name in ("twin", "project"):
        assert f"{name}: distance 1e+09 after " in shown


def test_a_mistake_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.time_to_quality", "--params", "gone.yaml"])
    with pytest.raises(SystemExit) as stop:
        run_benchmark(time_to_quality.main)
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: gone.yaml: no such params file; run from the project's root or pass --params"
