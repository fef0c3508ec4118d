"""What the classifier under test and the judge say about the images of style vectors, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.ranking.scores import Classify, Synthesize


@dataclass(frozen=True)
class Reader:
    """A generator with a classifier (logits) and a judge (probabilities), fed with NumPy arrays in batches.

    All methods take styles [N, D] float32, N at least 1, and return class probabilities [N, C] float64 of the unrounded
    images.
    """

    synthesize: Synthesize
    classify: Classify
    judge: Classify
    batch_size: int
    device: torch.device

    def classifier(self, styles: np.ndarray) -> np.ndarray:
        """The classifier's softmax."""
        return self._read(styles, [self._soften])[0]

    def opinion(self, styles: np.ndarray) -> np.ndarray:
        """The judge's probabilities."""
        return self._read(styles, [self.judge])[0]

    def both(self, styles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The classifier's softmax and the judge's probabilities on the same images."""
        softmax, opinion = self._read(styles, [self._soften, self.judge])
        return softmax, opinion

    def _soften(self, images: torch.Tensor) -> torch.Tensor:
        return self.classify(images).double().softmax(dim=1)

    def _read(self, styles: np.ndarray, readers: Sequence[Classify]) -> list[np.ndarray]:
        parts: list[list[np.ndarray]] = [[] for _ in readers]
        with torch.no_grad():
            for batch in torch.split(torch.from_numpy(styles), self.batch_size):
                images = self.synthesize(batch.to(self.device))
                for part, reader in zip(parts, readers, strict=True):
                    part.append(reader(images).double().cpu().numpy())
        return [np.concatenate(part) for part in parts]
