"""Images of converted generators against those of the published programs, and what a proof finds."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.brought_generators.convert import convert, save_converted
from failure_atlas.brought_generators.proof import NotProvenError, map_latents, prove, run
from failure_atlas.brought_generators.published import Published, read_published
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, load_generator
from tests.failure_atlas.brought_generators.generator_files import (
    Tensors,
    build_ada,
    published,
    random_tensors,
    write_pickle,
    write_rosinality,
)


def read(folder: Path, tensors: Tensors, clamp: float | None = None) -> Published:
    return read_published(write_pickle(folder / "network.pkl", build_ada(tensors, clamp)), "file")


def paint(generator: Generator, w: torch.Tensor) -> torch.Tensor:
    return generator.synthesize_raw(generator.map_styles(w))


@pytest.mark.parametrize("program", ["ada", "rosinality"])
def test_images_are_those_of_the_published_code(tmp_path: Path, program: str) -> None:
    tensors, made = published(program)
    is_ada = program == "ada"
    held = read(tmp_path, tensors) if is_ada else read_published(write_rosinality(tmp_path / "n.pt", tensors), "file")
    generator = convert(held, 3)
    labels = torch.tensor([0, 1])
    torch.testing.assert_close(generator.map_latents(made["z"], labels), made["w"], atol=1e-5, rtol=0)
    torch.testing.assert_close(paint(generator, made["w"]), made["image"], atol=1e-5, rtol=0)
    slow = list(run(held, made["w"].double()))[-1][1].image
    assert slow is not None
    torch.testing.assert_close(slow.float(), made["image"], atol=1e-5, rtol=0)
    torch.testing.assert_close(map_latents(held, made["z"].double(), labels).float(), made["w"], atol=1e-5, rtol=0)
    if is_ada:
        truncated = convert(held, 3, truncation=0.7)
        torch.testing.assert_close(paint(truncated, made["w"]), made["image_t"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size_px", "classes", "colours", "clamp"), [(16, 0, 3, None), (32, 5, 1, 0.5), (64, 0, 3, 256.0), (128, 2, 1, 9.0)]
)
def test_a_conversion_is_proven_at_any_size(
    tmp_path: Path, size_px: int, classes: int, colours: int, clamp: float | None
) -> None:
    held = read(tmp_path, random_tensors(size_px, 4, classes=classes, colours=colours), clamp)
    generator = convert(held, classes or 7)
    proof = prove(held, generator)
    assert max(proof.image, proof.style) < 1e-5
    assert proof.layer < 1e-3
    assert not proof.dead
    image = paint(generator, torch.randn(1, 8))
    assert image.shape == (1, colours, size_px, size_px)
    assert generator.num_classes == (classes or 7)


def test_doubling_is_that_of_loops(tmp_path: Path) -> None:
    """One doubling convolution with one channel each, pixel by pixel: zeros between, the kernel turned, the filter."""
    held = read(tmp_path, random_tensors(16, 1, classes=0))
    layer, w = held.layers[2], torch.randn(1, 8, dtype=torch.float64)
    states = list(run(held, w))
    x, after = states[1][1].features[0, 0].numpy(), states[2][1].features[0, 0].numpy()
    assert layer.noise is not None
    style = (layer.affine.weight @ w[0] + layer.affine.bias).item()
    kernel = layer.weight[0, 0].numpy() * style
    kernel /= math.sqrt((kernel**2).sum() + 1e-8)
    taps, between = np.array([1, 3, 3, 1]) / 4, np.zeros((9, 9))
    for row in range(4):
        for column in range(4):
            for i in range(3):
                for j in range(3):
                    between[2 * row + i, 2 * column + j] += x[row, column] * kernel[i, j]
    for row in range(8):
        for column in range(8):
            value = 0.0
            for i in range(4):
                for j in range(4):
                    if 0 <= (y := row + i - 1) < 9 and 0 <= (z := column + j - 1) < 9:
                        value += between[y, z] * taps[i] * taps[j]
            value += layer.noise[row, column].item() * layer.noise_strength + layer.bias[0].item()
            assert after[row, column] == pytest.approx(math.sqrt(2) * (value if value > 0 else 0.2 * value))


def test_the_proof_finds_what_is_wrong(tmp_path: Path) -> None:
    held = read(tmp_path, random_tensors(16, 4, classes=0))
    generator = convert(held, 2)

    def broken(name: str, change: torch.Tensor) -> Generator:
        copy = convert(held, 2)
        copy.load_state_dict({**generator.state_dict(), name: change})
        return copy

    weights = generator.state_dict()
    with pytest.raises(NotProvenError, match="S off by"):
        prove(held, broken("affines.3.weight", weights["affines.4.weight"]))
    with pytest.raises(NotProvenError, match="images from w off by"):
        prove(held, broken("convs.1.weight", weights["convs.1.weight"].flip(2, 3)))
    with pytest.raises(NotProvenError, match="images from w off by"):
        prove(held, broken("convs.2.noise_strength", torch.tensor(0.0)))
    with pytest.raises(NotProvenError, match="w off by"):
        prove(held, broken("mapping.layers.0.bias", torch.zeros(8)))


def test_a_filter_before_the_convolution_is_found(tmp_path: Path) -> None:
    held = read(tmp_path, random_tensors(16, 4, classes=0))
    generator = convert(held, 2)
    before = Generator(dataclasses.replace(generator.architecture, filter_last=False))
    state = generator.state_dict()
    before.load_state_dict(
        state | {f"convs.{place}.weight": state[f"convs.{place}.weight"].flip(2, 3) for place in (1, 3)}
    )
    with pytest.raises(NotProvenError, match="images from w"):  # the same but at the border
        prove(held, before)


def test_layers_of_another_order_are_found(tmp_path: Path) -> None:
    held = read(tmp_path, random_tensors(16, 4, classes=0))
    order = [0, 1, 3, 2, *range(4, len(held.layers))]
    swapped = dataclasses.replace(held, layers=tuple(held.layers[place] for place in order))
    with pytest.raises(NotProvenError, match="the layers of S do not stand in the published order"):
        prove(swapped, convert(held, 2))


def test_a_layer_that_does_nothing_is_named(tmp_path: Path) -> None:
    tensors = random_tensors(16, 4, classes=0)
    tensors["synthesis.b16.torgb.weight"] = torch.zeros(3, 4, 1, 1)
    held = read(tmp_path, tensors)
    assert prove(held, convert(held, 2)).dead == ("b16.torgb",)


def test_labels_change_nothing_where_there_is_no_embedding(tmp_path: Path) -> None:
    generator = convert(read(tmp_path, random_tensors(16, 4, classes=0)), 5)
    z = torch.randn(2, 8)
    labels = torch.tensor([0, 4])
    assert torch.equal(generator.map_latents(z, labels), generator.map_latents(z, labels.flip(0)))
    conditional = convert(read(tmp_path, random_tensors(16, 4, classes=5)), 5)
    assert not torch.equal(conditional.map_latents(z, labels), conditional.map_latents(z, labels.flip(0)))


def test_classes_and_averages_that_are_not_there_are_refused(tmp_path: Path) -> None:
    held = read(tmp_path, random_tensors(16, 4, classes=5))
    with pytest.raises(ValueError, match="5 classes, not 10"):
        convert(held, 10)
    with pytest.raises(ValueError, match="no average of w"):
        convert(dataclasses.replace(held, w_average=None), 5, truncation=0.5)


def test_a_network_without_noise_has_none(tmp_path: Path) -> None:
    tensors = {name: held for name, held in random_tensors(16, 4, classes=0).items() if ".noise" not in name}
    held = read(tmp_path, tensors)
    generator = convert(held, 2)
    prove(held, generator)
    s = generator.map_styles(torch.randn(1, 8))
    assert torch.equal(generator.synthesize(s, np.array([1])), generator.synthesize(s, np.array([2])))


def test_what_is_written_is_read_again_by_all(tmp_path: Path) -> None:
    generator = convert(read(tmp_path, random_tensors(16, 4, classes=0), 256), 2)
    for name in ("one", "two"):
        save_converted(tmp_path / name, generator, {"file": "network.pkl", "sha256": "0" * 64})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    again = load_generator(tmp_path / "one", torch.device("cpu"))
    w = torch.randn(2, 8)
    assert torch.equal(paint(again, w), paint(generator, w))
    assert again.architecture == generator.architecture


def test_generators_of_ones_own_are_described_as_before() -> None:
    held = GeneratorArchitecture(8, 8, 2, 1, (4, 4, 4), 1, "fir").describe()
    assert list(held) == [
        *("z_dim", "w_dim", "num_classes", "mapping_layers", "channels", "image_channels", "resampling", "noise_scale")
    ]
