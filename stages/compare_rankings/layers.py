"""The generator layer by layer, so that a change of one layer's style repeats only what comes after it."""

from dataclasses import dataclass

import torch

from failure_atlas.stylegan2.generator import Generator, StyleLayer
from failure_atlas.stylegan2.layers import upsample


@dataclass(frozen=True)
class State:
    """What enters one layer.

    features: [N, channels, H, W].  image: [N, image channels, H', W'], the sum of the coarser images; None before the
    first.  own_image: what a tRGB layer adds to it, None for a convolution.
    """

    features: torch.Tensor
    image: torch.Tensor | None
    own_image: torch.Tensor | None = None


def trace_layers(generator: Generator, styles: torch.Tensor) -> tuple[list[State], torch.Tensor]:
    """The state before each layer of `style_layout()`, and the raw image; styles: [N, D]."""
    state = State(generator.constant.expand(len(styles), -1, -1, -1), None)
    states: list[State] = []
    for index, layer in enumerate(generator.style_layout()):
        after = apply_layer(generator, index, state, styles[:, columns_of(layer)])
        states.append(State(state.features, state.image, after.own_image))
        state = after
    if state.image is None:
        raise ValueError("the generator has no layers")
    return states, state.image


def apply_layer(generator: Generator, index: int, state: State, style: torch.Tensor) -> State:
    """What leaves layer `index`; style: [N, channels of the layer]."""
    layout = generator.style_layout()
    place = sum(layer.kind == layout[index].kind for layer in layout[:index])
    if layout[index].kind == "conv":
        return State(generator.convs[place](state.features, style), state.image)
    own = generator.to_images[place](state.features, style)
    coarser = state.image
    total = own if coarser is None else upsample(coarser, generator.architecture.resampling) + own
    return State(state.features, total, own)


def change_layer(
    generator: Generator,
    states: list[State],
    raw: torch.Tensor,
    styles: torch.Tensor,
    rows: torch.Tensor,
    index: int,
    style: torch.Tensor,
) -> torch.Tensor:
    """Images in [0, 1] of samples with another style in one layer: [M, image channels, H, W].

    states, raw: of `trace_layers` for styles [N, D].  rows: int64 [M], which samples.  style: [M, channels], in place
    of layer `index`'s. Images add up over the tRGB layers, so that a change of one of them needs no convolution.
    """
    layout, before = generator.style_layout(), states[index]
    state = State(before.features[rows], before.image[rows] if before.image is not None else None)
    if layout[index].kind == "torgb":
        after = apply_layer(generator, index, State(state.features, None), style)
        change = _own_image(after) - _own_image(before)[rows]
        while change.shape[-1] < raw.shape[-1]:
            change = upsample(change, generator.architecture.resampling)
        return to_unit(raw[rows] + change)
    state = apply_layer(generator, index, state, style)
    for later in range(index + 1, len(layout)):
        state = apply_layer(generator, later, state, styles[rows][:, columns_of(layout[later])])
    if state.image is None:
        raise ValueError("the generator has no tRGB layer after its last convolution")
    return to_unit(state.image)


def columns_of(layer: StyleLayer) -> slice:
    """Where the styles of a layer stand in s."""
    return slice(layer.offset, layer.offset + layer.channels)


def to_unit(raw: torch.Tensor) -> torch.Tensor:
    """The image that `Generator.synthesize` makes of a raw one."""
    return ((raw + 1) / 2).clamp(0, 1)


def _own_image(state: State) -> torch.Tensor:
    if state.own_image is None:
        raise ValueError("a convolution adds no image")
    return state.own_image
