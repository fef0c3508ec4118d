"""What the classifier, and the judge, say about moved styles, batch by batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.walks.walks import tell_wrong
from failure_atlas.world.show import Classify, Synthesize

Judge = Callable[[torch.Tensor], torch.Tensor]  # images -> calibrated probabilities [N, classes]


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
            for image in self.make_images(styles):
                images.append(_to_bytes(image).cpu().numpy())
                outputs.append(self.ask(image))
        return np.concatenate(images), np.concatenate(outputs)

    def measure(self, styles: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """True-class softmax of each style vector; styles: [N, D] float32, true_class: [N]. Returns [N] float64."""
        _, softmax = self.show(styles)
        return np.asarray(softmax[np.arange(len(styles)), true_class])

    def make_images(self, styles: np.ndarray) -> Iterator[torch.Tensor]:
        """The unrounded images, batch by batch; styles: [N, D] float32."""
        for first in range(0, max(len(styles), 1), self.batch_size):  # an empty batch still has its shape
            yield self.synthesize(torch.from_numpy(styles[first : first + self.batch_size]).to(self.device))

    def ask(self, images: torch.Tensor) -> np.ndarray:
        """The classifier's softmax of one batch of images, [N, C] float64."""
        return np.asarray(self.classify(images).double().softmax(dim=1).cpu().numpy())


@dataclass(frozen=True)
class JudgedProbe:
    """A probe whose images a judge sees as well."""

    probe: Probe
    judge: Judge

    def consult(self, styles: np.ndarray) -> np.ndarray:
        """The judge's probabilities [N, C] float64 for the unrounded images; styles: [N, D] float32."""
        with torch.no_grad():
            return np.concatenate([self.judge(images).cpu().numpy() for images in self.probe.make_images(styles)])

    def weigh(self, styles: np.ndarray, true_class: np.ndarray) -> np.ndarray:
        """The judge's true-class probability where the classifier is wrong, 0 where it is right; [N] float64.

        styles: [N, D] float32.  true_class: [N]. Both see the unrounded image and the one in bytes that is stored: the
        classifier must be wrong on both, and the smaller of the judge's two probabilities counts. At the edge of a
        failure, where a search ends, rounding alone turns many answers.
        """
        weight, first = np.zeros(len(styles)), 0
        with torch.no_grad():
            for images in self.probe.make_images(styles):
                own = true_class[first : first + len(images)]
                # The judge is the slower of the two: it is asked about wrong answers only.
                wrong = np.flatnonzero(tell_wrong(self.probe.ask(images), own))
                stored = _to_bytes(images[wrong]).float() / 255
                still = tell_wrong(self.probe.ask(stored), own[wrong]) if len(wrong) else np.zeros(0, bool)
                wrong, stored = wrong[still], stored[np.flatnonzero(still)]
                if len(wrong):  # no network is asked about no images: many flatten them in a way that fails
                    seen = [self.judge(shown).cpu().numpy() for shown in (images[wrong], stored)]
                    weight[first + wrong] = np.minimum(*(each[np.arange(len(wrong)), own[wrong]] for each in seen))
                first += len(images)
        return weight


def _to_bytes(images: torch.Tensor) -> torch.Tensor:
    return (images * 255).round().to(torch.uint8)


def move_styles(styles: np.ndarray, dimension: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """A copy with one dimension of each row raised by its amount; styles [N, D], dimension [N], amount [N]."""
    moved = styles.copy()
    moved[np.arange(len(styles)), dimension] += amount.astype(styles.dtype)
    return moved
