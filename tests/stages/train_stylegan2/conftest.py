"""A session whose images are noise, as bright as their class is high."""

from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.images.image_set import ImageSet
from stages.train_stylegan2.session import Session
from stages.train_stylegan2.workers import PROCESSES_VARIABLE
from tests.stages.train_stylegan2.tiny_training import DIGITS, PARAMS


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv(PROCESSES_VARIABLE, "1")
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 10
    images = (rng.random((100, 1, 32, 32)) * 20 * (labels[:, None, None, None] + 1)).astype(np.uint8)
    return Session(ImageSet(images, labels), DIGITS, PARAMS, tmp_path / "resume", torch.device("cpu"))
