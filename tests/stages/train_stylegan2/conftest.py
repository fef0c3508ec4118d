"""A session whose images are noise, as bright as their class is high."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.images.image_set import ImageSet
from failure_atlas.stylegan2.state import TrainingState
from stages.train_stylegan2.session import Session
from stages.train_stylegan2.workers import PROCESSES_VARIABLE
from tests.stages.train_stylegan2.tiny_training import CRITIC, DIGITS, PARAMS, change, finish

Trained = tuple[Session, TrainingState]


@pytest.fixture(scope="session")
def images() -> ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 10
    pixels = (rng.random((100, 1, 32, 32)) * 20 * (labels[:, None, None, None] + 1)).astype(np.uint8)
    return ImageSet(pixels, labels)


@pytest.fixture
def session(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv(PROCESSES_VARIABLE, "1")
    return Session(images, DIGITS, PARAMS, tmp_path / "resume", torch.device("cpu"))


@pytest.fixture
def taught(session: Session) -> Session:
    """The session with a feature critic, shorter."""
    return change(session, feature_critic=CRITIC, total_kimg=2)


@pytest.fixture(scope="session")
def _train(images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Trained]]:
    def train(**params: object) -> Trained:
        root = tmp_path_factory.mktemp("resume")
        session = change(Session(images, DIGITS, PARAMS, root, torch.device("cpu")), **params)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(PROCESSES_VARIABLE, "1")
            return session, finish(session)

    return train


@pytest.fixture(scope="session")
def _trained_once(_train: Callable[..., Trained]) -> Trained:
    return _train()


@pytest.fixture(scope="session")
def _taught_once(_train: Callable[..., Trained]) -> Trained:
    return _train(feature_critic=CRITIC, total_kimg=2)


@pytest.fixture
def trained(_trained_once: Trained) -> Trained:
    """A session like `session`, trained once for all, whose files are to be read only, and a state of its own."""
    return _trained_once[0], copy.deepcopy(_trained_once[1])


@pytest.fixture
def trained_with_critic(_taught_once: Trained) -> Trained:
    """As `trained`, of a session like `taught`."""
    return _taught_once[0], copy.deepcopy(_taught_once[1])
