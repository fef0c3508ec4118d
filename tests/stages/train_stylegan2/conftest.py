"""A session whose images are noise, as bright as their class is high."""

import copy
from functools import cache

import numpy as np
import pytest
import torch

from failure_atlas.images.image_set import ImageSet
from stages.train_stylegan2.session import Session
from stages.train_stylegan2.workers import PROCESSES_VARIABLE
from tests.stages.train_stylegan2.tiny_training import CRITIC, DIGITS, PARAMS, change, finish

TAUGHT = {"feature_critic": CRITIC, "total_kimg": 2}


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 10
    pixels = (rng.random((100, 1, 32, 32)) * 20 * (labels[:, None, None, None] + 1)).astype(np.uint8)
    return ImageSet(pixels, labels)


@pytest.fixture
def session(images, tmp_path, monkeypatch):
    monkeypatch.setenv(PROCESSES_VARIABLE, "1")
    return Session(images, DIGITS, PARAMS, tmp_path / "resume", torch.device("cpu"))


@pytest.fixture
def taught(session):
    """The session with a feature critic, shorter."""
    return change(session, **TAUGHT)


@pytest.fixture(scope="session")
def _train(images, tmp_path_factory):
    @cache
    def train(taught):
        session = Session(images, DIGITS, PARAMS, tmp_path_factory.mktemp("resume"), torch.device("cpu"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(PROCESSES_VARIABLE, "1")
            return (session := change(session, **TAUGHT if taught else {})), finish(session)

    return train


@pytest.fixture
def trained(_train):
    """A session like `session`, trained once for all, whose files are to be read only, and a state of its own."""
    session, state = _train(taught=False)
    return session, copy.deepcopy(state)


@pytest.fixture
def trained_with_critic(_train):
    """As `trained`, of a session like `taught`."""
    session, state = _train(taught=True)
    return session, copy.deepcopy(state)
