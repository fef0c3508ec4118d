"""Gradient of the true-class score along each style dimension (Le Coz et al. 2022, 2.2).

Central differences along style dimensions: what stands in for a gradient where a classifier gives none.

How the score of a dimension is made: by gradients, or by finite differences where there are none.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.errors import StageError
from failure_atlas.populations.sampling import LEAST_PER_CLASS

Synthesize = Callable[[torch.Tensor], torch.Tensor]  # styles [N, D] -> images [N, channels, H, W] in [0, 1]
Classify = Callable[[torch.Tensor], torch.Tensor]  # images -> logits [N, classes]


def differentiate_scores(
    synthesize: Synthesize, classify: Classify, styles: torch.Tensor, true_class: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d softmax(classify(synthesize(s)))[true class] / d s, for each sample on its own.

    styles: [N, D] in raw style units.  true_class: [N] int64.
    Returns the gradients [N, D] and the logits [N, classes]; both networks must treat samples independently.
    """
    with torch.enable_grad():
        leaf = styles.detach().requires_grad_(True)
        logits = classify(synthesize(leaf))
        score = logits.softmax(dim=1).gather(1, true_class[:, None])
        # A sample's score depends on its own styles only, so the gradient of the sum holds each sample's gradient.
        (gradients,) = torch.autograd.grad(score.sum(), leaf)
    return gradients, logits.detach()


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


Score = Literal["auto", "gradient", "finite_difference"]
AUTO: Score = "auto"
GRADIENT: Score = "gradient"
FINITE_DIFFERENCE: Score = "finite_difference"


def choose_score(wanted: Score, classify: Classify, params: Path, classifier: Path) -> Score:
    """gradient or finite_difference; `auto` takes gradients where the classifier gives them.

    Raises StageError if gradients are wanted of a classifier that gives none.
    """
    differentiable = is_differentiable(classify)
    if wanted == AUTO:
        return GRADIENT if differentiable else FINITE_DIFFERENCE
    if wanted == GRADIENT and not differentiable:
        raise StageError(
            f"{params}: rank_dimensions.score: got '{GRADIENT}', but {classifier} is a black box and gives none; "
            f"allowed for it: '{AUTO}', '{FINITE_DIFFERENCE}'"
        )
    return wanted


def check_samples(params: Path, key: str, samples: int, classes: int, population: int) -> None:
    """Raise StageError unless every class gets the samples that its two halves need; key: with its section."""
    least = LEAST_PER_CLASS * classes
    if not least <= samples <= population:
        raise StageError(f"{params}: {key}: got {samples}; allowed: {least} to {population}, {LEAST_PER_CLASS} a class")
