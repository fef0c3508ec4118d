"""A published StyleGAN2 as its file has it: layers by name, each weight as the network uses it, in float64.

Two forms are read: `network-snapshot-*.pkl` of NVIDIA's StyleGAN2-ADA (PyTorch), and `*.pt` of rosinality's
stylegan2-pytorch. Both store weights at unit variance and scale them at run time; here they are scaled.
"""

import argparse
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from failure_atlas.brought_generators.pickled import MOST_BYTES, HeldModule, RefusedError, read_pickle
from failure_atlas.core.errors import StageError
from failure_atlas.core.files import is_file

SIZES_PX = (16, 1024)
TAPS = (1.0, 3.0, 3.0, 1.0)
OLD_TORCH_SAVE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number before all else
LEARNING_RATE_SCALE = 0.01  # of rosinality's mapping, which its files do not say


@dataclass(frozen=True)
class Affine:
    """y = weight x + bias; weight: [outputs, inputs], bias: [outputs]."""

    weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class PublishedLayer:
    """One modulated convolution, or one tRGB layer.

    name: as S names it, b8.conv0.  weight: [outputs, inputs, 3, 3] before modulation; of a tRGB layer [outputs, inputs,
    1, 1], whose styles are scaled by 1/sqrt(inputs) beside.  affine: w -> its styles.  noise: [H, W], times
    noise_strength; of tRGB None.
    """

    name: str
    weight: torch.Tensor
    bias: torch.Tensor
    affine: Affine
    noise: torch.Tensor | None
    noise_strength: float = 0.0

    @property
    def kind(self) -> Literal["conv", "torgb"]:
        """What it is to S."""
        return "torgb" if self.name.endswith("torgb") else "conv"

    @property
    def doubles(self) -> bool:
        """Whether its output is twice as large as its input."""
        return self.name.endswith("conv0")


@dataclass(frozen=True)
class Published:
    """A whole generator.

    mapping: the layers z -> w, each followed by leaky ReLU times sqrt 2.  embedding: of the one-hot class, or None.
    constant: [channels, 4, 4].  layers: in the order of S.  clamp: of each layer's output, or None.  w_average: [w], or
    None where the file has none.
    """

    form: str
    mapping: tuple[Affine, ...]
    embedding: Affine | None
    constant: torch.Tensor
    layers: tuple[PublishedLayer, ...]
    clamp: float | None
    w_average: torch.Tensor | None

    @property
    def num_classes(self) -> int:
        """0 of an unconditional one."""
        return 0 if self.embedding is None else self.embedding.weight.shape[1]

    @property
    def z_dim(self) -> int:
        """Width of z."""
        embedded = 0 if self.embedding is None else len(self.embedding.weight)
        return self.mapping[0].weight.shape[1] - embedded

    @property
    def w_dim(self) -> int:
        """Width of w."""
        return len(self.mapping[-1].weight)


def read_published(path: Path, key: str) -> Published:
    """The generator of a file, whichever of the two forms it has; key: where the params name it.

    Raises StageError in one line if the file is missing, cut, too large, holds anything that would have to be run, no
    StyleGAN2, or one of a kind that is not known here.
    """
    if not is_file(path):
        raise StageError(f"{key}: no file {path}; put the generator's file there")
    with path.open("rb") as file:
        start = file.read(len(OLD_TORCH_SAVE))
    try:
        if start[:2] == b"PK" or start == OLD_TORCH_SAVE:
            held = _of_rosinality(_load_tensors(path))
        elif start[:1] == b"\x80":
            held = _of_nvidia(read_pickle(path, key))
        else:
            raise RefusedError(f"neither a pickle nor a file of torch.save (it starts with {start[:8]!r})")
        check_shapes(held)
    except StageError:
        raise
    except Exception as error:
        # Whatever else a tensor of an odd shape, or a number in place of a text, leads to.
        told = str(error) if isinstance(error, RefusedError) else f"what does not fit together ({tell(error)})"
        raise StageError(
            f"{key}: {path} holds {told}; allowed: a StyleGAN2 of {SIZES_PX[0]} to {SIZES_PX[1]} px, in a .pkl of "
            "StyleGAN2-ADA (PyTorch) or a .pt of stylegan2-pytorch"
        ) from error
    return held


def _of_nvidia(content: Any) -> Published:
    """From the dict of a network-snapshot-*.pkl; its network G_ema, which published figures use."""
    held = content.get("G_ema") if isinstance(content, dict) else None
    if not isinstance(held, HeldModule):
        raise RefusedError(f"no network G_ema but {_tell(content)}")
    found = dict(held.walk())
    if "synthesis.b4" not in found or "mapping.fc0" not in found:
        raise RefusedError(f"a {held.class_name} of {_some(filter(None, found))}, which is no StyleGAN2")
    z_dim = _number(held, "z_dim")
    if z_dim < 1:
        raise RefusedError(f"a mapping network of z_dim {z_dim}")
    mapping = [found[f"mapping.fc{place}"] for place in range(_count(found, "mapping.fc{}"))]
    average = found["mapping"].tensors().get("w_avg")
    constant = _tensor(found["synthesis.b4"], "const", "synthesis.b4")
    layers, clamps = [], set()
    for resolution in _resolutions(found, "synthesis.b{}"):
        block = f"synthesis.b{resolution}"
        if (architecture := found[block].state.get("architecture")) != "skip":
            raise RefusedError(f"a synthesis network of architecture {architecture!r}, known is 'skip'")
        for name in ("conv0", "conv1", "torgb")[resolution == SMALLEST_PX :]:
            module = _module(found, f"{block}.{name}")
            clamps.add(module.state.get("conv_clamp"))
            layers.append(_layer_of_nvidia(found, f"{block}.{name}", f"b{resolution}.{name}"))
    if len(clamps) > 1 or not all(each is None or isinstance(each, (int, float)) for each in clamps):
        raise RefusedError(f"layers with different clamps {_some(map(str, clamps))}")
    clamp = clamps.pop()
    return Published(
        "stylegan2-ada-pytorch",
        tuple(_affine_of_nvidia(module, "lrelu") for module in mapping),
        _affine_of_nvidia(found["mapping.embed"], "linear") if "mapping.embed" in found else None,
        constant,
        tuple(layers),
        None if clamp is None else float(clamp),
        None if average is None else _finite(average.read(), "mapping.w_avg"),
    )


SMALLEST_PX = 4


def _layer_of_nvidia(found: Mapping[str, HeldModule], name: str, own: str) -> PublishedLayer:
    module = found[name]
    noise, strength = None, 0.0
    if "noise_const" in module.tensors():
        noise = _tensor(module, "noise_const", name)
        strength = _tensor(module, "noise_strength", name).item()
    if not name.endswith("torgb"):
        _check_filter(_tensor(module, "resample_filter", name), name)
        if (activation := module.state.get("activation")) != "lrelu":
            raise RefusedError(f"{name} with activation {activation!r}, known is 'lrelu'")
    weight, bias = _tensor(module, "weight", name), _tensor(module, "bias", name)
    affine = _affine_of_nvidia(_module(found, f"{name}.affine"), "linear")
    return PublishedLayer(own, weight, bias, affine, noise, strength)


def _affine_of_nvidia(module: HeldModule, activation: str) -> Affine:
    if module.state.get("activation") != activation:
        raise RefusedError(f"a layer with activation {module.state.get('activation')!r}, known there is {activation!r}")
    weight, bias = (_tensor(module, name, module.class_name) for name in ("weight", "bias"))
    return Affine(weight * _number(module, "weight_gain"), bias * _number(module, "bias_gain"))


def _load_tensors(path: Path) -> Any:
    """What torch.save wrote, read by PyTorch's own reader of tensors alone; of code it may name argparse.Namespace."""
    size = path.stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(member.file_size for member in archive.infolist()))
        if size > MOST_BYTES:
            raise RefusedError(f"{size:,} bytes, at most {MOST_BYTES:,} are read")
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except RefusedError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        named = re.search(r"GLOBAL (\S+)", text)
        if named:
            raise RefusedError(f"the name {named[1][:100]}, and nothing but tensors is read") from error
        raise RefusedError(f"no whole file of torch.save ({text[:200]})") from error


def _of_rosinality(content: Any) -> Published:
    """From the dict of a checkpoint; its state dict g_ema."""
    held = content.get("g_ema") if isinstance(content, dict) else None
    if not isinstance(held, dict) or not all(isinstance(each, torch.Tensor) for each in held.values()):
        raise RefusedError(f"no state dict g_ema but {_tell(content)}")

    def read(name: str) -> torch.Tensor:
        if name not in held:
            raise RefusedError(f"a g_ema without {name}")
        return _finite(held[name], name)

    def affine(name: str, scale: float) -> Affine:
        weight = read(f"{name}.weight")
        return Affine(weight * (scale / math.sqrt(weight.shape[-1])), read(f"{name}.bias") * scale)

    def layer(own: str, name: str, place: int | None) -> PublishedLayer:
        weight = read(f"{name}.conv.weight")[0]
        styles = affine(f"{name}.conv.modulation", 1.0)
        if place is None:
            return PublishedLayer(own, weight, read(f"{name}.bias").flatten(), styles, None)
        if f"{name}.conv.blur.kernel" in held:
            _check_filter(read(f"{name}.conv.blur.kernel") / 4, name)
        weight = weight / math.sqrt(weight[0].numel())
        noise = read(f"noises.noise_{place}").flatten(0, -3)[0]
        strength = read(f"{name}.noise.weight").item()
        return PublishedLayer(own, weight, read(f"{name}.activate.bias"), styles, noise, strength)

    layers = [layer("b4.conv1", "conv1", 0), layer("b4.torgb", "to_rgb1", None)]
    for block in range(_count(held, "to_rgbs.{}.bias")):
        size = 8 * 2**block
        layers.append(layer(f"b{size}.conv0", f"convs.{2 * block}", 2 * block + 1))
        layers.append(layer(f"b{size}.conv1", f"convs.{2 * block + 1}", 2 * block + 2))
        layers.append(layer(f"b{size}.torgb", f"to_rgbs.{block}", None))
    mapping = [affine(f"style.{place + 1}", LEARNING_RATE_SCALE) for place in range(_count(held, "style.{}.weight", 1))]
    if not mapping:
        raise RefusedError("a g_ema without style.1.weight")
    average = content.get("latent_avg")
    average = _finite(average.flatten(), "latent_avg") if isinstance(average, torch.Tensor) else None
    return Published("stylegan2-pytorch", tuple(mapping), None, read("input.input")[0], tuple(layers), None, average)


def check_shapes(held: Published) -> None:
    """Raise RefusedError, by name, where a tensor does not fit its neighbours, or the whole is no generator of images.

    So that a map from w to S that is not the published one is told here, and not by an image that looks wrong.
    """
    size_px = SMALLEST_PX * 2 ** ((len(held.layers) - 2) // 3)
    if not SIZES_PX[0] <= size_px <= SIZES_PX[1]:
        raise RefusedError(f"a generator of {size_px} px")
    colours = len(held.layers[1].bias)
    if colours not in (1, 3):
        raise RefusedError(f"a generator of images of {colours} channels, known are 1 and 3")
    expected = _expect(held, colours)
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise RefusedError(f"{name} of shape {list(tensor.shape)}, where its neighbours need {list(shape)}")


def _expect(held: Published, colours: int) -> dict[str, tuple[torch.Tensor, tuple[int, ...]]]:
    """By name, tensors and the shapes that they have to have."""
    w_dim, inputs = held.w_dim, held.layers[0].weight.shape[1]
    expected: dict[str, tuple[torch.Tensor, tuple[int, ...]]] = {"constant": (held.constant, (inputs, 4, 4))}
    before = held.z_dim
    if held.embedding is not None:
        before += w_dim
        expected["embedding"] = (held.embedding.weight, (w_dim, held.num_classes))
    for place, each in enumerate(held.mapping):
        expected[f"mapping layer {place}"] = (each.weight, (w_dim, before))
        expected[f"the bias of mapping layer {place}"] = (each.bias, (w_dim,))
        before = w_dim
    if held.w_average is not None:
        expected["the average of w"] = (held.w_average, (w_dim,))
    for layer in held.layers:
        outputs, kernel = (colours, 1) if layer.kind == "torgb" else (len(layer.weight), 3)
        expected[layer.name] = (layer.weight, (outputs, inputs, kernel, kernel))
        expected[f"the bias of {layer.name}"] = (layer.bias, (outputs,))
        expected[f"the map from w to the styles of {layer.name}"] = (layer.affine.weight, (inputs, w_dim))
        expected[f"the bias of the styles of {layer.name}"] = (layer.affine.bias, (inputs,))
        if layer.noise is not None:
            size_px = int(layer.name.split(".")[0][1:])
            expected[f"the noise of {layer.name}"] = (layer.noise, (size_px, size_px))
        inputs = inputs if layer.kind == "torgb" else outputs
    return expected


def _check_filter(kernel: torch.Tensor, name: str) -> None:
    taps = torch.tensor(TAPS, dtype=torch.float64) / sum(TAPS)
    if kernel.shape != (4, 4) or (kernel - taps[:, None] * taps).abs().max() > 1e-6:
        raise RefusedError(f"{name} with another filter than {list(TAPS)}")


def _resolutions(found: Mapping[str, Any], pattern: str) -> list[int]:
    largest = SMALLEST_PX
    while pattern.format(largest * 2) in found:
        largest *= 2
    return [SMALLEST_PX * 2**level for level in range(int(math.log2(largest // SMALLEST_PX)) + 1)]


def _count(found: Mapping[str, Any], pattern: str, first: int = 0) -> int:
    count = 0
    while pattern.format(first + count) in found:
        count += 1
    return count


def _module(found: Mapping[str, HeldModule], name: str) -> HeldModule:
    if name not in found:
        raise RefusedError(f"a G_ema without {name}")
    return found[name]


def _tensor(module: HeldModule, name: str, place: str) -> torch.Tensor:
    held = module.tensors().get(name)
    if held is None:
        raise RefusedError(f"{place} without {name}")
    return _finite(held.read(), f"{place}.{name}")


def _finite(tensor: torch.Tensor, name: str) -> torch.Tensor:
    if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
        raise RefusedError(f"numbers in {name} that are not finite, or whole")
    return tensor.detach().double().contiguous()


def _number(module: HeldModule, name: str) -> float:
    held = module.state.get(name)
    if not isinstance(held, (int, float)) or not math.isfinite(held):
        raise RefusedError(f"a {module.class_name} with {name} {held!r:.50}")
    return held


def tell(error: BaseException) -> str:
    """An exception in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _tell(content: Any) -> str:
    return f"a dict of {_some(map(str, content))}" if isinstance(content, dict) else f"a {type(content).__name__}"


def _some(names: Any) -> str:
    every = [str(name)[:40] for name in names]
    return ", ".join(every[:5]) + (", ..." if len(every) > 5 else "")
