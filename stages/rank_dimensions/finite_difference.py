"""Central differences along style dimensions: what stands in for a gradient where a classifier gives none."""

from collections.abc import Callable

import numpy as np
import torch

from stages.rank_dimensions.scores import Classify, Synthesize

# Logits [M, classes], and which of the styles each is of [M] int64 -> values [M, V].
Read = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def difference_outputs(
    synthesize: Synthesize,
    classify: Classify,
    read: Read,
    styles: np.ndarray,
    dimensions: np.ndarray,
    steps: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
    on_batch: Callable[[int], None] = lambda _: None,
) -> np.ndarray:
    """(read(s + h e_j) - read(s - h e_j)) / 2h for chosen dimensions j of each style vector: [N, K, V] float64.

    styles: [N, D] float32.  dimensions: [N, K] int64.  steps: [N, K], h in raw style units; where it is 0 nothing is
    asked and the difference is 0.  on_batch: told the number of images after each batch.
    Exact where the output is linear or quadratic in s_j; else off by h^2 / 6 times its third derivative.
    Two images per dimension and style vector, at most batch_size (or 2) of them at once.
    """
    rows, places = np.nonzero(steps)
    at_once = max(1, batch_size // 2)
    slopes: np.ndarray | None = None
    with torch.no_grad():
        for first in range(0, len(rows), at_once):
            row, place = rows[first : first + at_once], places[first : first + at_once]
            dimension, step = dimensions[row, place], steps[row, place]
            moved = np.repeat(styles[row][None], 2, axis=0)  # up, then down
            index = np.arange(len(row))
            moved[0, index, dimension] += step
            moved[1, index, dimension] -= step
            # The step as float32 holds it, so that rounding of s + h makes no error of the slope.
            width = moved[0, index, dimension].astype(np.float64) - moved[1, index, dimension]
            logits = classify(synthesize(torch.from_numpy(moved.reshape(-1, styles.shape[1])).to(device)))
            values = read(logits, torch.from_numpy(np.tile(row, 2)).to(device)).double().cpu().numpy()
            up, down = values.reshape(2, len(row), -1)
            if slopes is None:
                slopes = np.zeros((*dimensions.shape, up.shape[1]))
            slopes[row, place] = (up - down) / width[:, None]
            on_batch(2 * len(row))
    return slopes if slopes is not None else np.zeros((*dimensions.shape, 1))
