"""Six classifiers from good to poor, and a judge that is none of them."""

from pathlib import Path

import pytest
import torch

from failure_atlas.classifiers.networks import load_classifier, save_classifier
from failure_atlas.judges.ensemble import Ensemble, save_ensemble

NOISE = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.4, "e": 0.8, "f": 1.6}
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def graded_classifiers(tmp_path_factory: pytest.TempPathFactory, tiny_classifier: Path) -> dict[str, Path]:
    """`tiny_classifier` with more and more noise on its weights: name -> weights file."""
    folder = tmp_path_factory.mktemp("graded")
    random = torch.Generator().manual_seed(1)
    for name, noise in NOISE.items():
        classifier = load_classifier(tiny_classifier, CPU)
        for parameter in classifier.parameters():
            parameter += noise * parameter.std() * torch.randn(parameter.shape, generator=random)
        save_classifier(folder / f"{name}.safetensors", classifier)
    return {name: folder / f"{name}.safetensors" for name in NOISE}


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory, graded_classifiers: dict[str, Path]) -> Path:
    """Weights file of an ensemble of two networks that know most images of `tiny_population`."""
    members = [load_classifier(graded_classifiers[name], CPU) for name in ("a", "b")]
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(10)]))
    return path
