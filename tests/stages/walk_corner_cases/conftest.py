"""A judge for walks, made in seconds: it stays sure of some images that the tiny classifier gets wrong."""

from pathlib import Path

import pytest
import torch

from stages.common.arrays import read_array
from stages.train_classifiers.networks import Classifier
from stages.train_judges.ensemble import Ensemble, save_ensemble


@pytest.fixture(scope="session")
def robust_judge(tmp_path_factory: pytest.TempPathFactory, tiny_population: Path) -> Path:
    """File of an ensemble of two networks that know the images of `tiny_population`."""
    store = tiny_population / "population.zarr"
    images = torch.from_numpy(read_array(store, "images")).float() / 255
    labels = torch.from_numpy(read_array(store, "labels"))
    members = []
    for seed in (3, 4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            member = Classifier("plain", classes=10, width=8)
        optimiser = torch.optim.Adam(member.parameters(), lr=0.02)
        for _ in range(40):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(member(images), labels).backward()
            optimiser.step()
        members.append(member.eval())
    path = tmp_path_factory.mktemp("robust_judge") / "judge.safetensors"
    save_ensemble(path, Ensemble(members, [str(label) for label in range(10)], temperature=0.5))
    return path
