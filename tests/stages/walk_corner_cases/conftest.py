"""A judge for walks, made in seconds: it stays sure of some images that the tiny classifier gets wrong."""

from pathlib import Path

import pytest

from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from tests.stages.tiny_networks import teach_population


@pytest.fixture(scope="session")
def robust_judge(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path) -> Path:
    """File of an ensemble of two networks that know the images of `tiny_population`."""
    members = [teach_population(tiny_population, seed=seed, steps=40) for seed in (3, 4)]
    path = tmp_path_factory.mktemp("robust_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(10)], temperature=0.5))
    return path
