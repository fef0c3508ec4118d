"""Samples moved along several dimensions at once (paper 2.4), and how many stay well classified."""

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]


def space_shifts(max_shift_std: float, step_std: float) -> np.ndarray:
    """Shifts from 0 in equal steps up to `max_shift_std`, in std: [T]."""
    return np.arange(int(np.floor(max_shift_std / step_std + 1e-9)) + 1) * step_std


def build_move(dimensions: np.ndarray, direction: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The change of s that moves each of `dimensions` by one std in its direction and leaves the others: [D] float32.

    dimensions: int64 [K].  direction: [D], -1, 0 or 1.  std: [D].
    """
    move = np.zeros(len(std), dtype=np.float32)
    move[dimensions] = direction[dimensions] * std[dimensions]
    return move


def measure_shifts(
    predict: Predict, styles: np.ndarray, moves: np.ndarray, true_class: np.ndarray, shifts_std: np.ndarray
) -> np.ndarray:
    """Whether each sample is well classified after each shift: bool [T, N], or [T, M, N] if M networks are asked.

    predict: styles [N, D] -> class [N] or [M, N].  styles: [N, D] float32.  moves: [D], or [N, D]: one for each sample.
    """
    return np.stack([predict(styles + np.float32(shift) * moves) == true_class for shift in shifts_std])
