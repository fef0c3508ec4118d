"""What the room reads beside the shared tiny inputs: two ensembles, a snapshot, walks and true failures."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.discriminator import Discriminator, DiscriminatorArchitecture
from failure_atlas.stylegan2.generator import load_generator
from failure_atlas.stylegan2.state import load_discriminator, new_state, save_state
from stages.walk_corner_cases.__main__ import main as walk_corner_cases
from tests import yaml12 as yaml
from tests.stages.running import demanding_noise
from tests.stages.tiny_networks import teach_population

CPU = torch.device("cpu")
NAMES = [str(label) for label in range(10)]


@pytest.fixture(scope="session")
def make_ensemble(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path) -> Callable[..., Path]:
    """A function that trains a network on `tiny_population` for a moment and saves it as an ensemble of one."""

    def make(seed: int, names: list[str] = NAMES) -> Path:
        member = teach_population(tiny_population, seed=seed, steps=30)
        path = tmp_path_factory.mktemp("ensemble") / "ensemble.safetensors"
        save_ensemble(path, Ensemble([member], names, temperature=0.6, confidence=0.6))
        return path

    return make


@pytest.fixture(scope="session")
def judge(make_ensemble: Callable[..., Path]) -> Path:
    return make_ensemble(3)


@pytest.fixture(scope="session")
def auditor(make_ensemble: Callable[..., Path]) -> Path:
    return make_ensemble(4)


@pytest.fixture(scope="session")
def make_snapshot(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Path) -> Callable[..., Path]:
    """A function that saves a snapshot of untrained networks; changes: of the discriminator's architecture."""

    def make(**changes: object) -> Path:
        architecture = {
            "num_classes": 10, "channels": (8, 8, 8, 4), "image_channels": 1, "stem": "space_to_depth",
            "minibatch_std_group": 4, "resampling": "bilinear",
        }  # fmt: skip
        state = new_state(
            load_generator(tiny_generator, CPU).architecture,
            DiscriminatorArchitecture(**(architecture | changes)),
            AdaptiveProbability(target=0.6, interval_steps=4, adjustment_kimg=500),
            NAMES,
            learning_rate=0.001,
            seed=5,
            device=CPU,
        )
        path = tmp_path_factory.mktemp("snapshot") / "snapshot.safetensors"
        save_state(path, state)
        return path

    return make


@pytest.fixture(scope="session")
def snapshot(make_snapshot: Callable[..., Path]) -> Path:
    return make_snapshot()


@pytest.fixture(scope="session")
def critic(snapshot: Path) -> Discriminator:
    return load_discriminator(snapshot, CPU)


@pytest.fixture(scope="session")
def corner_cases(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_generator: Path,
    tiny_classifier: Path,
    tiny_population: Path,
    tiny_ranking: Path,
    tiny_names: Path,
    judge: Path,
) -> Path:
    """Folder as walk_corner_cases leaves it; its search consults `judge`."""
    folder = tmp_path_factory.mktemp("walks")
    section = {
        "scope": "class", "dimensions": 3, "max_shift_std": 20.0, "grid_step_std": 1.0, "min_effect": 0.001,
        "only_true_failures": False, "start_samples": [], "real_starts": 0, "figure_classes": [], "batch_size": 64,
    }  # fmt: skip
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump({"walk_corner_cases": section}), encoding="utf-8")
    with demanding_noise():
        walk_corner_cases(
            generator=tiny_generator, classifier=tiny_classifier, judge=judge, population=tiny_population,
            ranking=tiny_ranking, names=tiny_names, inverted=folder, out=folder / "out", params=params,
        )  # fmt: skip
    return folder / "out"
