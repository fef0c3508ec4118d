"""A judge for the tiny world."""

from pathlib import Path

import pytest

from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from tests.stages.tiny_networks import CLASSES, teach_population


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path) -> Path:
    """Weights file of an ensemble of two small networks, trained for a moment on the images of `tiny_population`."""
    members = [teach_population(tiny_population, seed=seed, steps=25) for seed in (2, 3)]
    path = tmp_path_factory.mktemp("tiny_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(CLASSES)]))
    return path
