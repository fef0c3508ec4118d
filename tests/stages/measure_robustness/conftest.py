"""A judge for the tiny world, and a world whose walks are known."""

from pathlib import Path

import numpy as np
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


class LinearWorld:
    """Log-odds that fall linearly with the offset: value = start + slope . u, for every start the same slope."""

    def __init__(self, start: list[float], slope: list[float]) -> None:
        self.start, self.slope = np.array(start), np.array(slope)
        self.measured, self.differentiated = 0, 0

    def measure(self, rows: np.ndarray, offset: np.ndarray) -> np.ndarray:
        self.measured += len(rows)
        return self.start[rows] + offset @ self.slope

    def differentiate(self, rows: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.differentiated += len(rows)
        return self.start[rows] + offset @ self.slope, np.tile(self.slope, (len(rows), 1))


@pytest.fixture
def linear_world() -> type[LinearWorld]:
    return LinearWorld
