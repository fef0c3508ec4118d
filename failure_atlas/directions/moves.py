"""Samples moved a step up and a step down one dimension, and what that does to what is measured."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.world.show import Synthesize

Measure = Callable[[np.ndarray], np.ndarray]  # images uint8 [N, C, H, W] -> measurements [N, M]


@dataclass(frozen=True)
class MoveEffects:
    """Per std of one dimension: differences of the measurements [n, M], and mean absolute pixel change in grey [n]."""

    differences: np.ndarray
    pixel_change: np.ndarray


@dataclass(frozen=True)
class Renderer:
    """The generator, fed with NumPy arrays; memory is bounded by batch_size."""

    synthesize: Synthesize
    batch_size: int
    device: torch.device

    def draw(self, styles: np.ndarray) -> np.ndarray:
        """Images uint8 [N, C, H, W], rounded, of styles float32 [N, D]."""
        images = []
        with torch.no_grad():
            for first in range(0, len(styles), self.batch_size):
                batch = torch.from_numpy(styles[first : first + self.batch_size]).to(self.device)
                images.append((self.synthesize(batch) * 255).round().to(torch.uint8).cpu().numpy())
        return np.concatenate(images)


def measure_move(
    renderer: Renderer, measure: Measure, styles: np.ndarray, dimension: int, std: float, step_std: float
) -> MoveEffects:
    """Central difference between s + step and s - step along one dimension, per std.

    styles: [n, D] float32.  std: signed, of the dimension in raw style units: its sign is the direction of the move.
    """
    ends = []
    for sign in (1, -1):
        moved = styles.copy()
        moved[:, dimension] += np.float32(sign * step_std * std)
        ends.append(renderer.draw(moved))
    up, down = ends
    at_up, at_down = np.split(measure(np.concatenate(ends)), 2)
    differences = (at_up - at_down) / (2 * step_std)
    pixels = np.abs(up.astype(np.float64) - down).mean(axis=(1, 2, 3)) / 255 / (2 * step_std)
    return MoveEffects(differences, pixels)
