"""The generator in three steps that can be called apart: z -> w, w -> s, s -> image.

A generator on disk: weights, constant noise and architecture in one safetensors file.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.stylegan2.layers import EqualizedLinear, MappingNetwork, Resampling, upsample
from failure_atlas.stylegan2.modulated_conv import ModulatedConv, NoiseScale, ToImage
from failure_atlas.stylegan2.noise import make_noise


@dataclass(frozen=True)
class GeneratorArchitecture:
    """All that is needed to build a generator; `channels` are the widths at 4, 8, 16, ... px.

    noise_scale: how strong noise is, is learned for each `layer` (StyleGAN2) or each `channel` (StyleGAN): then the
    style of one channel can say how noisy an image is.
    Of brought generators alone: conditional: False where the class changes nothing.  filter_last: convolutions that
    double the size filter behind the convolution, as published, not before it.  clamp: of each layer's output, which
    kept training in float16 in bounds.
    """

    z_dim: int
    w_dim: int
    num_classes: int
    mapping_layers: int
    channels: tuple[int, ...]
    image_channels: int
    resampling: Resampling
    noise_scale: NoiseScale = "layer"
    conditional: bool = True
    filter_last: bool = False
    clamp: float | None = None

    @property
    def size_px(self) -> int:
        """Width and height of the images."""
        return 2 << len(self.channels)

    def describe(self) -> dict[str, object]:
        """As plain JSON; what only brought generators have is left out where it is as in all others."""
        usual = {"conditional": True, "filter_last": False, "clamp": None}
        held = {key: value for key, value in asdict(self).items() if key not in usual or value != usual[key]}
        return held | {"channels": list(self.channels)}


@dataclass(frozen=True)
class StyleLayer:
    """Where the styles of one layer stand in s; place: its number among the layers of its kind.

    Of a brought module nothing more is known: kind `style`, resolution_px 0.
    """

    name: str
    kind: Literal["conv", "torgb", "style"]
    resolution_px: int
    offset: int
    channels: int
    place: int = 0

    @property
    def columns(self) -> slice:
        """Of s: `s[:, offset:offset + channels]`."""
        return slice(self.offset, self.offset + self.channels)


@dataclass(frozen=True)
class State:
    """What enters one layer: features [N, channels, H, W], and image, the sum of coarser ones, or None."""

    features: torch.Tensor
    image: torch.Tensor | None


class Generator(nn.Module):
    """StyleGAN2 generator with skip connections (Karras et al. 2020), conditioned on the class.

    S, the style space, holds the outputs of the affine layers of all modulated convolutions and tRGB layers, in
    the order of `style_layout()` (Wu et al. 2021). tRGB styles are recorded before their 1/sqrt(channels) gain.
    """

    def __init__(self, architecture: GeneratorArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.z_dim, self.w_dim, self.num_classes = architecture.z_dim, architecture.w_dim, architecture.num_classes
        embedded = self.num_classes if architecture.conditional else 0
        self.mapping = MappingNetwork(self.z_dim, self.w_dim, embedded, architecture.mapping_layers)
        self.constant = nn.Parameter(torch.randn(architecture.channels[0], 4, 4))
        self.convs, self.to_images, self.affines = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self._layout: list[StyleLayer] = []
        inputs = architecture.channels[0]
        for level, outputs in enumerate(architecture.channels):
            resolution = 4 * 2**level
            if level > 0:
                self._add_conv(f"b{resolution}.conv0", inputs, outputs, resolution, up=True)
            self._add_conv(f"b{resolution}.conv1", outputs, outputs, resolution, up=False)
            self.to_images.append(ToImage(outputs, architecture.image_channels, architecture.clamp))
            self._add_affine(f"b{resolution}.torgb", "torgb", outputs, resolution)
            inputs = outputs
        self.style_dimensions = sum(layer.channels for layer in self._layout)

    @property
    def conditional(self) -> bool:
        """Whether the class of a sample can be asked for."""
        return self.architecture.conditional

    def style_layout(self) -> list[StyleLayer]:
        """The layers of S in order."""
        return list(self._layout)

    def map_latents(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """z: [N, z_dim] standard normal; labels: [N] int64. Returns w [N, w_dim]."""
        return self.mapping(z, labels)  # type: ignore[no-any-return]

    def map_styles(self, w: torch.Tensor) -> torch.Tensor:
        """w: [N, w_dim]. Returns s [N, style_dimensions]."""
        return torch.cat([affine(w) for affine in self.affines], dim=1)

    def synthesize(self, s: torch.Tensor, seeds: np.ndarray | None = None) -> torch.Tensor:
        """Image of each style vector, under the noise of its seed: for one seed a function of s alone.

        s: [N, style_dimensions].  seeds: int64 [N], see `make_noise`; None: the constant noise. Returns [N,
        image_channels, size, size] float32 in [0, 1]: raw output clamped, as a classifier would receive it. The
        gradient is that of the clamped image: none where a pixel is saturated.
        """
        return to_unit(self.synthesize_raw(s, None if seeds is None else self.make_noise(seeds)))

    def synthesize_raw(self, s: torch.Tensor, noise: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """The unclamped image, nominally in [-1, 1], that the discriminator sees.

        noise: one [N, 1, H, W] per convolution (see `noise_resolutions`), or None for the constant noise.
        """
        noises = iter(noise if noise is not None else [None] * len(self.convs))
        state = self.begin(len(s))
        for layer in self._layout:
            state = self.run_layer(layer, state, s[:, layer.columns], next(noises) if layer.kind == "conv" else None)
        if state.image is None:
            raise ValueError("the generator has no layers")
        return state.image

    def make_noise(self, seeds: np.ndarray) -> list[torch.Tensor]:
        """The noise of each seed, as `synthesize_raw` takes it; seeds: int64 [N]."""
        constant = [conv.noise for conv in self.convs if isinstance(conv, ModulatedConv)]
        return make_noise(seeds, self.noise_resolutions(), constant)

    def begin(self, samples: int) -> State:
        """What enters the first layer."""
        return State(self.constant.expand(samples, -1, -1, -1), None)

    def run_layer(
        self, layer: StyleLayer, state: State, style: torch.Tensor, noise: torch.Tensor | None = None
    ) -> State:
        """What leaves one of `style_layout()`'s layers; style: [N, its channels]."""
        if layer.kind == "conv":
            return State(self.convs[layer.place](state.features, style, noise), state.image)
        # The 1 x 1 layer to the image reads what the block made; coarser images are doubled and added.
        own: torch.Tensor = self.to_images[layer.place](state.features, style)
        return State(state.features, own if state.image is None else self.upsample(state.image) + own)

    def upsample(self, image: torch.Tensor) -> torch.Tensor:
        """An image of twice the size, as the next block adds to it."""
        return upsample(image, self.architecture.resampling)

    def noise_resolutions(self) -> list[int]:
        """Width and height in pixels of the noise of each convolution, in order."""
        return [layer.resolution_px for layer in self._layout if layer.kind == "conv"]

    def _add_conv(self, name: str, inputs: int, outputs: int, resolution_px: int, *, up: bool) -> None:
        held = self.architecture
        conv = ModulatedConv(
            inputs, outputs, resolution_px, up=up,
            resampling=held.resampling, noise_scale=held.noise_scale, filter_last=held.filter_last, clamp=held.clamp,
        )  # fmt: skip
        self.convs.append(conv)
        self._add_affine(name, "conv", inputs, resolution_px)

    def _add_affine(self, name: str, kind: Literal["conv", "torgb"], channels: int, resolution_px: int) -> None:
        offset = sum(layer.channels for layer in self._layout)
        place = sum(layer.kind == kind for layer in self._layout)
        self._layout.append(StyleLayer(name, kind, resolution_px, offset, channels, place))
        self.affines.append(EqualizedLinear(self.w_dim, channels, bias=1.0))


def to_unit(raw: torch.Tensor) -> torch.Tensor:
    """A raw image, nominally in [-1, 1], as one in [0, 1] that a classifier would receive."""
    return ((raw + 1) / 2).clamp(0, 1)


KIND = "stylegan2-generator"
NO_SNAPSHOT = "no snapshot"  # the kind of what stands in a snapshot's place beside a brought generator


def save_generator(path: Path, generator: Generator) -> None:
    """Write a generator so that `load_generator` needs the file alone."""
    description = {"kind": KIND, "architecture": generator.architecture.describe()}
    save_tensors(path, generator.state_dict(), description)


def load_generator(path: Path, device: torch.device) -> Generator:
    """Read a generator, ready for analysis: evaluation mode, weights frozen.

    Raises StageError if the file is missing, cut or holds something else.
    """
    tensors, description = load_tensors(path, KIND)
    generator = Generator(read_architecture(description["architecture"]))
    generator.load_state_dict(tensors)
    return generator.to(device).eval().requires_grad_(False)


def read_architecture(description: dict[str, Any]) -> GeneratorArchitecture:
    """The inverse of `GeneratorArchitecture.describe`."""
    return GeneratorArchitecture(**{**description, "channels": tuple(description["channels"])})
