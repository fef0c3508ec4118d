"""Judges: one that is the tiny classifier, one that reads nothing, one of other classes."""

from pathlib import Path

import pytest
import torch

from failure_atlas.classifiers.networks import Classifier, load_classifier
from failure_atlas.judges.ensemble import Ensemble, save_ensemble

NAMES = [str(label) for label in range(10)]


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path) -> Path:
    """Weights file of an ensemble whose one member is `tiny_classifier`."""
    path = tmp_path_factory.mktemp("tiny_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble([load_classifier(tiny_classifier, torch.device("cpu"))], NAMES))
    return path


@pytest.fixture(scope="session")
def blind_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights file of an ensemble that sees class 0 in every image."""
    network = Classifier("residual", classes=10, width=8)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.arange(10) == 0)
    path = tmp_path_factory.mktemp("blind_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble([network], NAMES))
    return path


@pytest.fixture(scope="session")
def strange_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights file of an ensemble of other classes than the population's."""
    path = tmp_path_factory.mktemp("strange_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble([Classifier("plain", classes=3, width=8)], ["zero", "one", "two"]))
    return path
