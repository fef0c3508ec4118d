"""A judge of the tiny world, and the linear pair whose gradients are known exactly."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from failure_atlas.classifiers.networks import load_classifier
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from tests.stages.linear_pair import LinearPair


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
