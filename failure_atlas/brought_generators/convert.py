"""A published generator as one of this project's own: converted once, to safetensors with its architecture."""

import math
from pathlib import Path
from typing import Any

import torch

from failure_atlas.brought_generators.published import Affine, Published
from failure_atlas.core.weights import save_tensors
from failure_atlas.stylegan2.generator import KIND, Generator, GeneratorArchitecture
from failure_atlas.stylegan2.layers import LEARNING_RATE_SCALE


def convert(held: Published, num_classes: int, truncation: float = 1.0) -> Generator:
    """The same function of z and label, and of w, in evaluation mode with frozen weights; on the CPU, in float32.

    num_classes: of the world; of an unconditional generator, labels change nothing.  truncation: how far w goes from
    its average, 1 all the way. It becomes a part of the map from w to S, so that S and images are those of the
    truncated w, while w itself stays as the mapping network gives it.
    Raises ValueError if the generator knows another number of classes, or has no average of w to truncate to.
    """
    if held.num_classes not in (0, num_classes):
        raise ValueError(f"a generator of {held.num_classes} classes, not {num_classes}")
    if truncation != 1 and held.w_average is None:
        raise ValueError("no average of w, to which truncation moves")
    convs = [layer for layer in held.layers if layer.kind == "conv"]
    painters = [layer for layer in held.layers if layer.kind == "torgb"]
    architecture = GeneratorArchitecture(
        z_dim=held.z_dim,
        w_dim=held.w_dim,
        num_classes=num_classes,
        mapping_layers=len(held.mapping),
        channels=tuple(len(layer.weight) for layer in convs if not layer.doubles),
        image_channels=len(painters[0].bias),
        resampling="fir",
        conditional=held.embedding is not None,
        filter_last=True,
        clamp=held.clamp,
    )
    tensors = {"constant": held.constant}
    if held.embedding is not None:
        tensors |= _equalized("mapping.embedding", held.embedding)
    for place, each in enumerate(held.mapping):
        tensors |= _equalized(f"mapping.layers.{place}", each, LEARNING_RATE_SCALE)
    for place, layer in enumerate(convs):
        # Layers of one number of inputs are stored at unit variance and scaled when they run.
        tensors[f"convs.{place}.weight"] = layer.weight * math.sqrt(layer.weight[0].numel())
        tensors[f"convs.{place}.bias"] = layer.bias
        tensors[f"convs.{place}.noise"] = _no_noise(layer.name) if layer.noise is None else layer.noise
        tensors[f"convs.{place}.noise_strength"] = torch.tensor(layer.noise_strength)
    for place, layer in enumerate(painters):
        tensors[f"to_images.{place}.weight"] = layer.weight[:, :, 0, 0]
        tensors[f"to_images.{place}.bias"] = layer.bias
    for place, layer in enumerate(held.layers):
        tensors |= _equalized(f"affines.{place}", _truncate(layer.affine, held.w_average, truncation))
    generator = Generator(architecture)
    generator.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return generator.eval().requires_grad_(False)


def save_converted(path: Path, generator: Generator, source: dict[str, Any]) -> None:
    """Write a generator so that `load_generator` needs the file alone; source: what it was made of, as plain JSON."""
    description = {"kind": KIND, "architecture": generator.architecture.describe(), "source": source}
    save_tensors(path, generator.state_dict(), description)


def _no_noise(name: str) -> torch.Tensor:
    """Of a network trained without noise, whose strength is 0."""
    size_px = int(name.split(".")[0][1:])
    return torch.zeros(size_px, size_px)


def _equalized(name: str, layer: Affine, learning_rate_scale: float = 1.0) -> dict[str, torch.Tensor]:
    """A layer as `EqualizedLinear` stores it: at unit variance, scaled when it runs."""
    gain = learning_rate_scale / math.sqrt(layer.weight.shape[1])
    return {f"{name}.weight": layer.weight / gain, f"{name}.bias": layer.bias / learning_rate_scale}


def _truncate(layer: Affine, average: torch.Tensor | None, truncation: float) -> Affine:
    """A layer that sees average + truncation (w - average) where it is shown w."""
    if truncation == 1 or average is None:
        return layer
    return Affine(layer.weight * truncation, layer.bias + (1 - truncation) * (layer.weight @ average))
