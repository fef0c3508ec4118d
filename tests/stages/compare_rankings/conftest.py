"""A judge of the tiny world, and the linear pair whose gradients are known exactly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.train_classifiers.checkpoint import load_classifier
from stages.train_judges.ensemble import Ensemble, save_ensemble

N, D, PIXELS, CLASSES = 60, 7, 12, 3


class LinearPair:
    """image = s G, logits = image H: all gradients are known exactly."""

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


@pytest.fixture
def pair() -> LinearPair:
    return LinearPair()


@pytest.fixture(scope="session")
def make_judge(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path) -> Callable[[int], Path]:
    """A function that writes a judge of one member, `tiny_classifier`, with as many class names as are asked for."""

    def make(classes: int) -> Path:
        member = load_classifier(tiny_classifier, torch.device("cpu"))
        path = tmp_path_factory.mktemp("tiny_judge") / "judge.safetensors"
        save_ensemble(path, Ensemble([member], [str(label) for label in range(classes)], 1.5, 0.7))
        return path

    return make
