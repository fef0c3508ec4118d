"""AttFind, the ranking by trial (Lang et al. 2021, Explaining in Style, 3.3)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.ranking.scores import Classify
from failure_atlas.stylegan2.generator import Generator
from stages.compare_rankings.layers import change_layer, columns_of, trace_layers

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
    batch_size: int,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Effects:
    """Move each style of each sample to the population's minimum and maximum and ask the classifier.

    styles: [N, D] float32.  true_class: [N] int64.  weights: [N], of the mean.  bounds: [2, D], minimum and maximum.
    on_batch: told the number of images classified. Equals N (2 D + 1) runs of generator and classifier; layers before
    the moved one are not run again. At most batch_size images are in work at once.
    """
    device = generator.constant.device
    target = torch.from_numpy(bounds.astype(np.float32)).to(device)
    sums = {name: torch.zeros(styles.shape[1], 2, dtype=torch.float64, device=device) for name in ("logit", "softmax")}
    for first in range(0, len(styles), batch_size):
        block = slice(first, first + batch_size)
        s, labels = torch.from_numpy(styles[block]).to(device), torch.from_numpy(true_class[block]).to(device)
        weight = torch.from_numpy(weights[block]).to(device)
        with torch.no_grad():
            states, raw = trace_layers(generator, s)
            before = _read(classify, generator.synthesize(s), labels)
            on_batch(len(s))
            for index, layer in enumerate(generator.style_layout()):
                own = columns_of(layer)
                for trial in torch.split(torch.arange(len(s) * layer.channels * 2, device=device), batch_size):
                    rows, channel, side = trial // (2 * layer.channels), trial // 2 % layer.channels, trial % 2
                    style = s[rows, own]
                    style[torch.arange(len(trial), device=device), channel] = target[side, layer.offset + channel]
                    images = change_layer(generator, states, raw, s, rows, index, style)
                    after = _read(classify, images, labels[rows])
                    for total, value, start in zip(sums.values(), after, before, strict=True):
                        changes = weight[rows] * (value - start[rows])
                        total.index_put_((layer.offset + channel, side), changes, accumulate=True)
                    on_batch(len(trial))
    return Effects(*(total.cpu().numpy() for total in sums.values()))


def score_effects(effect: np.ndarray) -> np.ndarray:
    """Score of each dimension from its mean effects [D, 2]: the larger fall of the two directions, [D].

    Signed like a gradient: negative where raising s lowers the output; 0 where neither direction lowers it.
    Departs from the source's `independent` ranking, which counts the samples that change by more than a threshold, in
    that the mean needs no threshold, and in that only falls count: corner cases lie there.
    """
    fall = np.maximum(-effect, 0)
    side = fall.argmax(axis=1)
    return np.asarray(np.where(side == UP, -1, 1) * fall.max(axis=1))


def count_passes(samples: int, dimensions: int) -> int:
    """Forward passes of the search: every sample once as it is, and once for each dimension and direction."""
    return samples * (2 * dimensions + 1)


def _read(classify: Classify, images: torch.Tensor, true_class: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = classify(images).double()
    own = true_class[:, None]
    return logits.gather(1, own)[:, 0], logits.softmax(dim=1).gather(1, own)[:, 0]
