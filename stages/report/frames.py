"""The pictures along a move, and what classifiers and judge say of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.walks.probe import Judge
from failure_atlas.world.show import Classify, Synthesize
from stages.report.moves import Move


@dataclass(frozen=True)
class Frames:
    """images: [F, channels, H, W] uint8.  softmax: [F, C] float64 by classifier.  judge: [F, C] float64."""

    images: np.ndarray
    softmax: Mapping[str, np.ndarray]
    judge: np.ndarray


def trace_moves(
    synthesize: Synthesize,
    classifiers: Mapping[str, Classify],
    judge: Judge,
    means: np.ndarray,
    moves: Sequence[Move],
    shifts_std: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Frames]:
    """Frames of each move, in order; all see the unrounded image, the page shows it in bytes.

    means: [C, D] float32.  shifts_std: [F], 0 or more.  on_done: told how many images have just been made.
    """
    images, opinions = [], []
    for styles in _batch(means, moves, shifts_std, batch_size):
        with torch.no_grad():
            made = synthesize(torch.from_numpy(styles).to(device))
            images.append((made * 255).round().to(torch.uint8).cpu().numpy())
            said = [classify(made).double().softmax(dim=1) for classify in classifiers.values()]
            opinions.append(torch.stack([*said, judge(made)]).cpu().numpy())
        on_done(len(styles))
    if not images:
        return []
    count = len(shifts_std)
    pictures, said_of = np.concatenate(images), np.concatenate(opinions, axis=1)
    spans = [slice(first * count, (first + 1) * count) for first in range(len(moves))]
    return [
        Frames(pictures[span], dict(zip(classifiers, said_of[:-1, span], strict=True)), said_of[-1, span])
        for span in spans
    ]


def _batch(means: np.ndarray, moves: Sequence[Move], shifts_std: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Moved styles [at most batch_size, D] float32: every shift of the first move, then of the second, and so on."""
    total = len(moves) * len(shifts_std)
    for first in range(0, total, batch_size):
        rows = np.arange(first, min(first + batch_size, total))
        own = [moves[row] for row in (rows // len(shifts_std)).tolist()]
        styles = means[[move.true_class for move in own]]
        amount = np.array([move.step for move in own]) * shifts_std[rows % len(shifts_std)]
        styles[np.arange(len(rows)), [move.dimension for move in own]] += amount.astype(styles.dtype)
        yield styles
