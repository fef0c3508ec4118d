"""What the classifier says about moved styles, batch by batch."""

from dataclasses import dataclass

import numpy as np
import torch

from stages.rank_dimensions.scores import Classify, Synthesize


@dataclass(frozen=True)
class Probe:
    """A generator and the classifier under test, fed with NumPy arrays; memory is bounded by batch_size."""

    synthesize: Synthesize
    classify: Classify
    batch_size: int
    device: torch.device

    def show(self, styles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [N, channels, H, W] (rounded) and softmax float64 [N, C]; styles: [N, D] float32.

        The classifier sees the unrounded image.
        """
        images, outputs = [], []
        with torch.no_grad():
            for first in range(0, max(len(styles), 1), self.batch_size):  # an empty batch still has its shape
                batch = torch.from_numpy(styles[first : first + self.batch_size]).to(self.device)
                image = self.synthesize(batch)
                images.append((image * 255).round().to(torch.uint8).cpu().numpy())
                outputs.append(self.classify(image).double().softmax(dim=1).cpu().numpy())
        return np.concatenate(images), np.concatenate(outputs)

    def measure(self, styles: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """True-class softmax of each style vector; styles: [N, D] float32, true_class: [N]. Returns [N] float64."""
        _, softmax = self.show(styles)
        return np.asarray(softmax[np.arange(len(styles)), true_class])


def move_styles(styles: np.ndarray, dimension: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """A copy with one dimension of each row raised by its amount; styles [N, D], dimension [N], amount [N]."""
    moved = styles.copy()
    moved[np.arange(len(styles)), dimension] += amount.astype(styles.dtype)
    return moved
