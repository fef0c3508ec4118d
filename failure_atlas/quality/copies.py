"""Whether generated images are copies of training images: distances to the nearest one, beside those of test images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from failure_atlas.images.image_set import to_unit
from failure_atlas.statistics.estimates import proportion

NEAR_QUANTILE = 0.01  # of the test images' distances: nearer than this is suspiciously near
ROWS = 1000  # at once


@dataclass(frozen=True)
class Nearest:
    """distance: float32 [N], root mean square difference of pixels in [0, 1].  index: int64 [N], of the nearest."""

    distance: np.ndarray
    index: np.ndarray


def find_nearest(
    images: torch.Tensor, train: np.ndarray, device: torch.device, advance: Callable[[int], None] = lambda _: None
) -> Nearest:
    """The nearest training image of each image.

    images: [N, C, H, W] float32 in [0, 1].  train: uint8 [M, C, H, W].  advance: told the rows done after each batch.
    """
    others = to_unit(train).flatten(1).to(device)
    lengths = others.square().sum(dim=1)
    distance, index = [], []
    for rows in torch.split(images.flatten(1), ROWS):
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, as one matrix product
        squares = torch.addmm(lengths, rows.to(device), others.T, alpha=-2)
        nearest = squares.min(dim=1)
        mean = (nearest.values + rows.to(device).square().sum(dim=1)).clamp(min=0) / others.shape[1]
        distance.append(mean.sqrt().cpu().numpy())
        index.append(nearest.indices.cpu().numpy())
        advance(len(rows))
    return Nearest(np.concatenate(distance), np.concatenate(index))


def compare_nearness(generated: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Share of generated images that are nearer to a training image than all but 1 % of test images are.

    generated, test: distances [N].  A generator that copies has a share far above 0.01.
    """
    near = float(np.quantile(test, NEAR_QUANTILE))
    return {
        "copies_share": proportion(generated < near),
        "nearest_distance": {"generated": _describe(generated), "real": _describe(test)},
    }


def _describe(distances: np.ndarray) -> dict[str, float]:
    """Smallest, 1 % quantile and median."""
    return {
        "smallest": float(distances.min()),
        "quantile_01": float(np.quantile(distances, NEAR_QUANTILE)),
        "median": float(np.median(distances)),
    }
