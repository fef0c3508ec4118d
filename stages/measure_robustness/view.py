"""What stands in an image: to the eye, to the classifier under test, and to the judge."""

from dataclasses import dataclass

import numpy as np
import torch

from failure_atlas.judges.ensemble import Ensemble, ask
from failure_atlas.world.show import Classify, Synthesize


@dataclass(frozen=True)
class View:
    """N styles seen. images: uint8 [N, channels, H, W], rounded.  softmax: [N, C], of the classifier under test.

    opinion: [N, C], the judge's calibrated probabilities. Both networks see the unrounded image.
    """

    images: np.ndarray
    softmax: np.ndarray
    opinion: np.ndarray

    def read(self, true_class: np.ndarray) -> np.ndarray:
        """True-class softmax [N] of the classifier under test."""
        return np.asarray(self.softmax[np.arange(len(self.softmax)), true_class])


def view_styles(
    synthesize: Synthesize,
    classify: Classify,
    judge: Ensemble,
    styles: np.ndarray,
    *,
    batch_size: int,
    device: torch.device,
) -> View:
    """Make the images of styles [N, D] float32, N > 0, and ask both networks."""
    images, softmax, opinion = [], [], []
    with torch.no_grad():
        for batch in torch.split(torch.from_numpy(styles), batch_size):
            image = synthesize(batch.to(device))
            images.append((image * 255).round().to(torch.uint8).cpu().numpy())
            softmax.append(classify(image).double().softmax(dim=1).cpu().numpy())
            opinion.append(ask(judge, image).cpu().numpy())
    return View(np.concatenate(images), np.concatenate(softmax), np.concatenate(opinion))
