"""A linear generator and a logistic classifier, whose gradients are known exactly."""

import numpy as np
import torch

N, D, PIXELS, CLASSES = 60, 7, 12, 3


class LinearPair:
    """image = s G, logits = image H."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.G = torch.from_numpy(random.normal(size=(D, PIXELS)))
        self.H = torch.from_numpy(random.normal(size=(PIXELS, CLASSES)))
        self.styles = random.normal(size=(N, D))
        self.true_class = np.arange(N, dtype=np.int64) % CLASSES

    def synthesize(self, s: torch.Tensor) -> torch.Tensor:
        return (s @ self.G.to(s.dtype)).reshape(-1, 1, 3, 4)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.H.to(images.dtype)

    def exact(self) -> dict[str, np.ndarray]:
        """Gradients [N, D] of the true class's logit, log-softmax and softmax, and the size of the last."""
        A = (self.G @ self.H).numpy()
        odds = np.exp(self.styles @ A)
        p = odds / odds.sum(1, keepdims=True)
        logit = A[:, self.true_class].T
        log_probability = logit - p @ A.T
        probability = p[np.arange(N), self.true_class][:, None] * log_probability
        return {
            "logit": logit, "log_probability": log_probability, "probability": probability,
            "absolute": np.abs(probability),
        }  # fmt: skip
