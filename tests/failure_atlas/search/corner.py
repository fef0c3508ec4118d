"""A world over latents w of two classes, whose true failures fill a corner of W that is known.

Pixels are 0.5 + 0.2 x, clamped; x is w, its first coordinate raised by a quarter for each seed of the noise. The
classifier sees class 1 where x0 > 0, the judge where x1 < 0: class 0 fails where x0 > 0 and x1 is large enough.
"""

import numpy as np
import torch

from failure_atlas.search.domain import Domain
from failure_atlas.world.show import CLASSIFIER, JUDGE, Classify, World

CONFIDENCE, STEEPNESS = 0.95, (2.0, 3.0)
_AXES = np.array([[0.6, 0.0, 0.3], [0.0, 0.5, 0.0], [0.2, 0.0, 0.8]])  # x1 stays where x0 falls steepest
CENTRE, AXES = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]), np.stack([_AXES, 0.9 * _AXES.T])
# Of both classes one of which the judge is sure, and one of which it is not.
TRUE_CLASS, NOISE = np.array([0, 0, 1, 1]), np.array([0, 1, -1, 2])
W = np.array([[-1.0, 1.5, 0.3], [-1.0, 0.2, 0.0], [1.2, -1.5, 0.5], [1.0, -0.1, 0.0]], np.float32)
X0, SIGN = W[:, 0] + NOISE / 4, np.where(TRUE_CLASS == 0, 1, -1)  # of x0 where the class fails, of x1 where it is seen


def paint(w: torch.Tensor, noise: np.ndarray | None = None) -> torch.Tensor:
    shift = torch.zeros_like(w)
    shift[:, 0] = 0 if noise is None else torch.from_numpy(noise / 4)
    return (0.5 + 0.2 * (w + shift)).clamp(0, 1)[:, None, None, :]


def read(pixel: int, steepness: float) -> Classify:
    """Logits of opposite sign, the first of class 0: steepness * x at this pixel."""

    def classify(images: torch.Tensor) -> torch.Tensor:
        first = steepness * (images.flatten(1)[:, pixel] - 0.5) / 0.2
        return torch.stack([first, -first], dim=1)

    return classify


MEMBERS = [read(1, steepness) for steepness in STEEPNESS]


def judge(images: torch.Tensor) -> torch.Tensor:
    return torch.stack([member(images).softmax(dim=1) for member in MEMBERS]).mean(dim=0).log()


def make_world(batch_size: int = 3) -> World:
    return World(paint, {CLASSIFIER: read(0, -4.0), JUDGE: judge}, batch_size, classes=2)


def make_domain(radius: float = 3.0) -> Domain:
    return Domain(CENTRE, AXES, np.linalg.inv(AXES), np.full(2, radius))
