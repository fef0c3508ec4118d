"""A linear generator and a logistic classifier, whose gradients are known exactly."""

from collections.abc import Callable

import numpy as np
import torch

from failure_atlas.brought.black_box import BlackBox
from failure_atlas.world.show import CLASSIFIER, World

N, D, PIXELS, CLASSES = 60, 7, 12, 3


class LinearPair:
    """image = s G, logits = image H, in float64; styles are float64 numbers that float32 holds, too."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.G = torch.from_numpy(random.normal(size=(D, PIXELS)))
        self.H = torch.from_numpy(random.normal(size=(PIXELS, CLASSES)))
        self.styles = random.normal(size=(N, D)).astype(np.float32).astype(np.float64)
        self.true_class = np.arange(N, dtype=np.int64) % CLASSES
        self.std = self.styles.std(axis=0, ddof=1)
        self.black_box = BlackBox(lambda images: images.reshape(len(images), -1) @ self.H.numpy(), "linear")

    def synthesize(self, s: torch.Tensor) -> torch.Tensor:
        return (s.double() @ self.G).reshape(-1, 1, 3, 4)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).double() @ self.H

    def world(
        self,
        batch_size: int = 9,
        classify: Callable[[torch.Tensor], torch.Tensor] | None = None,
        classes: int = CLASSES,
    ) -> World:
        networks = {CLASSIFIER: classify or self.classify}
        return World(self.synthesize, networks, batch_size=batch_size, classes=classes)

    def logits(self) -> np.ndarray:
        return np.asarray(self.styles @ (self.G @ self.H).numpy())

    def exact(self) -> dict[str, np.ndarray]:
        """Gradients [N, D] of the true class's logit, log-softmax, softmax and log-odds, and the size of the third."""
        A = (self.G @ self.H).numpy()
        odds = np.exp(self.logits())
        p = odds / odds.sum(1, keepdims=True)
        own = p[np.arange(N), self.true_class][:, None]
        logit = A[:, self.true_class].T
        log_probability = logit - p @ A.T
        others = np.where(np.arange(CLASSES) == self.true_class[:, None], 0, odds)
        log_odds = logit - others / others.sum(1, keepdims=True) @ A.T
        return {
            "logit": logit, "log_probability": log_probability, "softmax": own * log_probability,
            "absolute": np.abs(own * log_probability), "log_odds": log_odds,
        }  # fmt: skip
