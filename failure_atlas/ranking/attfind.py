"""AttFind, the ranking by trial (Lang et al. 2021, Explaining in Style, 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.stylegan2.generator import Generator, State, StyleLayer, to_unit
from failure_atlas.world.gradients import logit, softmax
from failure_atlas.world.show import Classify, select_seeds

DOWN, UP = 0, 1  # to the population's minimum, to its maximum


@dataclass(frozen=True)
class Effects:
    """Weighted mean change of an output of the true class, by dimension and direction: [D, 2] float64 each."""

    logit: np.ndarray
    probability: np.ndarray


def find_effects(
    generator: Generator,
    classify: Classify,
    styles: np.ndarray,
    true_class: np.ndarray,
    weights: np.ndarray,
    bounds: np.ndarray,
    *,
    noise: np.ndarray | None = None,
    batch_size: int,
    advance: Callable[[int], object] = lambda _: None,
) -> Effects:
    """Move each style of each sample to the population's minimum and maximum and ask the classifier.

    styles: [N, D] float32.  true_class: [N] int64.  weights: [N], of the mean.  bounds: [2, D], minimum and maximum.
    noise: int64 [N], see `World.show`.  advance: told the number of images classified. Equals N (2 D + 1) runs of
    generator and classifier; layers before the moved one are not run again. At most batch_size images are in work at
    once.
    """
    device = generator.constant.device
    target = torch.from_numpy(bounds.astype(np.float32)).to(device)
    sums = [torch.zeros(styles.shape[1], 2, dtype=torch.float64, device=device) for _ in (logit, softmax)]
    for first in range(0, len(styles), batch_size):
        block = slice(first, first + batch_size)
        s, labels = torch.from_numpy(styles[block]).to(device), torch.from_numpy(true_class[block]).to(device)
        weight = torch.from_numpy(weights[block]).to(device)
        with torch.no_grad():
            trace = Trace(generator, s, select_seeds(noise, block))
            before = _ask(classify, to_unit(trace.raw), labels)
            advance(len(s))
            for layer in generator.style_layout():
                for trial in torch.split(torch.arange(len(s) * layer.channels * 2, device=device), batch_size):
                    rows, channel, side = trial // (2 * layer.channels), trial // 2 % layer.channels, trial % 2
                    style = s[rows, layer.columns]
                    style[torch.arange(len(trial), device=device), channel] = target[side, layer.offset + channel]
                    after = _ask(classify, trace.change_layer(layer, rows, style), labels[rows])
                    for total, value, start in zip(sums, after, before, strict=True):
                        changes = weight[rows] * (value - start[rows])
                        total.index_put_((layer.offset + channel, side), changes, accumulate=True)
                    advance(len(trial))
    return Effects(*(total.cpu().numpy() for total in sums))


class Trace:
    """A run of the generator that keeps what enters each layer, so that a changed layer repeats what comes after it."""

    def __init__(self, generator: Generator, styles: torch.Tensor, noise: np.ndarray | None = None) -> None:
        self._generator, self._styles, self._layout = generator, styles, generator.style_layout()
        convs = [layer for layer in self._layout if layer.kind == "conv"]
        planes = [] if noise is None else generator.make_noise(noise)
        self._noise = dict(zip(convs, planes, strict=noise is not None))
        states = [generator.begin(len(styles))]
        for layer in self._layout:
            style = styles[:, layer.columns]
            states.append(generator.run_layer(layer, states[-1], style, self._noise.get(layer)))
        self._before = dict(zip(self._layout, states, strict=False))
        if states[-1].image is None:
            raise ValueError("the generator has no tRGB layer")
        self.raw = states[-1].image

    def change_layer(self, layer: StyleLayer, rows: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """Images in [0, 1] of some samples with another style in one layer: [M, image channels, H, W].

        rows: int64 [M], which samples.  style: [M, channels].  Images add up over the tRGB layers, so that a change of
        one of them needs no convolution.
        """
        generator, before = self._generator, self._before[layer]
        features = before.features[rows]
        if layer.kind == "torgb":
            own = State(before.features, None), self._styles[:, layer.columns]
            change = generator.run_layer(layer, State(features, None), style).image
            was = generator.run_layer(layer, *own).image
            if change is None or was is None:
                raise ValueError("the generator has no tRGB layer")
            change = change - was[rows]
            while change.shape[-1] < self.raw.shape[-1]:
                change = generator.upsample(change)
            return to_unit(self.raw[rows] + change)
        state = State(features, before.image[rows] if before.image is not None else None)
        state = generator.run_layer(layer, state, style, self._draw(layer, rows))
        for later in self._layout[self._layout.index(layer) + 1 :]:
            state = generator.run_layer(later, state, self._styles[rows, later.columns], self._draw(later, rows))
        if state.image is None:
            raise ValueError("the generator has no tRGB layer after its last convolution")
        return to_unit(state.image)

    def _draw(self, layer: StyleLayer, rows: torch.Tensor) -> torch.Tensor | None:
        """The noise of some samples in one layer; None where it is the constant one."""
        return self._noise[layer][rows] if layer in self._noise else None


def score_effects(effect: np.ndarray) -> np.ndarray:
    """Score of each dimension from its mean effects [D, 2]: the larger fall of the two directions, [D].

    Signed like a gradient: negative where raising s lowers the output; 0 where neither direction lowers it.
    Departs from the source's `independent` ranking, which counts the samples that change by more than a threshold, in
    that the mean needs no threshold, and in that only falls count: corner cases lie there.
    """
    fall = np.maximum(-effect, 0)
    side = fall.argmax(axis=1)
    return np.asarray(np.where(side == UP, -1, 1) * fall.max(axis=1))


def count_trials(samples: int, dimensions: int) -> int:
    """Forward passes of the search: every sample once as it is, and once for each dimension and direction."""
    return samples * (2 * dimensions + 1)


def _ask(classify: Classify, images: torch.Tensor, true_class: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = classify(images).double()
    return logit(logits, true_class), softmax(logits, true_class)
