"""That a converted generator is the published one: images from w, and which layer each style reaches.

The published network is evaluated once more beside, in float64, straight from the tensors of the file and the formulas
of the paper (Karras et al. 2020, 2.2 and appendix B): weights for each sample, zeros put in between pixels, and one
filter after the other. It shares no code with `failure_atlas.stylegan2`. Slow, and meant for a few samples.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from failure_atlas.brought_generators.published import TAPS, Published, PublishedLayer
from failure_atlas.stylegan2.generator import Generator, State

TOLERANCE = 1e-4  # of an image in [-1, 1], and of what one style changes, of the largest value there
EPSILON = 1e-8
NOTHING = 1e-12  # a style that moves its layer by less does not move it


class NotProvenError(Exception):
    """Where the converted generator differs, in words."""


@dataclass(frozen=True)
class Proof:
    """samples: compared.  image, style: the largest differences of images in [-1, 1], and of S.

    layer: of what one style changes in its own layer, over the largest change there.  dead: layers of which no probed
    style changes anything.
    """

    samples: int
    image: float
    style: float
    layer: float
    dead: tuple[str, ...]


def prove(held: Published, generator: Generator, samples: int = 2, seed: int = 1) -> Proof:
    """Compare a converted generator, untruncated, with its source, from the same w; `NotProvenError` where they differ.

    For each layer one style of S is moved, and the first layer that answers is looked up: it has to be the one that S
    says, and to change as the published layer of that name does.
    """
    if [layer.name for layer in generator.style_layout()] != [layer.name for layer in held.layers]:
        raise NotProvenError("the layers of S do not stand in the published order")
    stream = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, held.z_dim, generator=stream)
    labels = torch.arange(samples) % max(held.num_classes, 1)
    w = map_latents(held, z.double(), labels)
    own_w = generator.map_latents(z, labels)
    _check("w", own_w, w)
    s = generator.map_styles(w.float())
    states = list(run(held, w))
    style = _check("S", s, torch.cat([styles for styles, _ in states], dim=1))
    image = _check("images from w", generator.synthesize_raw(s), states[-1][1].image)
    layer, dead = _compare_layers(held, generator, s[:1], w[:1])
    return Proof(samples, image, style, layer, dead)


def _compare_layers(
    held: Published, generator: Generator, s: torch.Tensor, w: torch.Tensor
) -> tuple[float, tuple[str, ...]]:
    """The largest difference of what one style changes in its layer; and layers that none of it changes."""
    largest, dead = 0.0, []
    layout = generator.style_layout()
    before, own_before = _begin(held, 1), generator.begin(1)
    for layer, published in zip(layout, held.layers, strict=True):
        styles = _style(published, w)
        after = _step(before, published, styles, held.clamp)
        own_after = generator.run_layer(layer, own_before, s[:, layer.columns])
        # The channel that says most in this layer: an idle one would prove nothing.
        channel = int((published.weight.square().sum((0, 2, 3)) * styles[0].square()).argmax())
        amount = 0.5 * styles.abs().max().item()
        moved = styles.clone()
        moved[:, channel] += amount
        change = _seen(_step(before, published, moved, held.clamp), published) - _seen(after, published)
        own_s = s.clone()
        own_s[:, layer.offset + channel] += amount
        reached = [each.name for each in layout if not torch.equal(own_s[:, each.columns], s[:, each.columns])]
        if reached[:1] != [published.name]:
            raise NotProvenError(f"style {layer.offset + channel} of S answers in {reached[:1]}, not {published.name}")
        own = generator.run_layer(layer, own_before, own_s[:, layer.columns])
        own_change = _seen(own, published) - _seen(own_after, published)
        if (size := change.abs().max().item()) <= NOTHING:
            dead.append(published.name)
        else:
            name = f"what style {layer.offset + channel} of S changes in {published.name}"
            largest = max(largest, _check(name, own_change / size, change / size, TOLERANCE * 10))
        before, own_before = after, own_after
    return largest, tuple(dead)


def _check(name: str, found: torch.Tensor, wanted: torch.Tensor | None, tolerance: float = TOLERANCE) -> float:
    """The largest difference, over the largest value where that is above 1; `NotProvenError` above the tolerance."""
    if wanted is None or found.shape != wanted.shape:
        raise NotProvenError(f"{name} of shape {list(found.shape)}")
    difference = (found.double() - wanted).abs().max().item() / max(1.0, wanted.abs().max().item())
    if not difference <= tolerance:
        raise NotProvenError(f"{name} off by {difference:.2g}, allowed are {tolerance:g}")
    return difference


def _seen(state: State, layer: PublishedLayer) -> torch.Tensor:
    """What a layer makes: features, or its part of the image."""
    seen = state.image if layer.kind == "torgb" else state.features
    if seen is None:
        raise ValueError(f"{layer.name} makes no image")
    return seen.double()


def map_latents(held: Published, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """w [N, w] of z [N, z] and labels [N]; float64."""
    x = z / (z.square().mean(1, keepdim=True) + EPSILON).sqrt()
    if held.embedding is not None:
        y = held.embedding.weight.T[labels] + held.embedding.bias
        x = torch.cat([x, y / (y.square().mean(1, keepdim=True) + EPSILON).sqrt()], dim=1)
    for layer in held.mapping:
        x = _activate(x @ layer.weight.T + layer.bias)
    return x


def run(held: Published, w: torch.Tensor) -> Iterator[tuple[torch.Tensor, State]]:
    """Of each layer in turn its styles [N, inputs] and what is there behind it, from w [N, w] float64."""
    state = _begin(held, len(w))
    for layer in held.layers:
        styles = _style(layer, w)
        state = _step(state, layer, styles, held.clamp)
        yield styles, state


def _begin(held: Published, samples: int) -> State:
    return State(held.constant.expand(samples, -1, -1, -1), None)


def _style(layer: PublishedLayer, w: torch.Tensor) -> torch.Tensor:
    return w @ layer.affine.weight.T + layer.affine.bias


def _step(state: State, layer: PublishedLayer, styles: torch.Tensor, clamp: float | None) -> State:
    """One layer behind the others: a convolution of the features, or tRGB, which adds to the image."""
    limit = math.inf if clamp is None else clamp
    if layer.kind == "torgb":
        weights = layer.weight * styles[:, None, :, None, None] / math.sqrt(styles.shape[1])
        own = _convolve(state.features, weights) + layer.bias[:, None, None]
        own = own.clamp(-limit, limit)
        return State(state.features, own if state.image is None else _double(state.image) + own)
    weights = layer.weight * styles[:, None, :, None, None]
    weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + EPSILON).sqrt()
    if layer.doubles:
        # A true convolution, whose kernel is turned, of the pixels with zeros in between; then the filter.
        x = _convolve(_spread(state.features, 2, 2), weights.flip(3, 4))
        x = _filter(functional.pad(x, (1, 1, 1, 1)))
    else:
        x = _convolve(functional.pad(state.features, (1, 1, 1, 1)), weights)
    if layer.noise is not None:
        x = x + layer.noise * layer.noise_strength
    return State(_activate(x + layer.bias[:, None, None]).clamp(-limit, limit), state.image)


def _activate(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x < 0, x * 0.2, x) * math.sqrt(2)


def _convolve(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Each sample [C, H, W] under its own weights [outputs, C, k, k], without padding."""
    return torch.cat([functional.conv2d(one[None], own) for one, own in zip(x, weights, strict=True)])


def _spread(x: torch.Tensor, left: int, right: int) -> torch.Tensor:
    """Pixels with a zero between any two, and zeros around: left and above, right and below."""
    height, width = x.shape[2:]
    wide = x.new_zeros(*x.shape[:2], 2 * height - 1 + left + right, 2 * width - 1 + left + right)
    wide[:, :, left : left + 2 * height : 2, left : left + 2 * width : 2] = x
    return wide


def _double(image: torch.Tensor) -> torch.Tensor:
    """An image of twice the size, by the same filter."""
    return _filter(_spread(image, 2, 2))


def _filter(x: torch.Tensor) -> torch.Tensor:
    """The filter of StyleGAN2 along both axes, one after the other, times 4 for the zeros in between."""
    taps = torch.tensor(TAPS, dtype=x.dtype)
    taps = 2 * taps / taps.sum()
    rows = torch.stack([tap * x[:, :, place : x.shape[2] - 3 + place] for place, tap in enumerate(taps)]).sum(0)
    return torch.stack([tap * rows[:, :, :, place : x.shape[3] - 3 + place] for place, tap in enumerate(taps)]).sum(0)
