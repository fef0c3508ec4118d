"""A folder that a person brings, for the bars of `tiny_images`, and the stage run on it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stages.bring_classifiers.__main__ import main
from tests.stages.bring_classifiers.bar_reader import write_brought


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FAILURE_ATLAS_DEVICE", "cpu")
    yield
    # The stage asks for deterministic kernels; other tests set what they need.
    torch.set_deterministic_debug_mode("default")


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder data/brought/mine of a project that is the current folder: a module and its weights."""
    monkeypatch.chdir(tmp_path)
    return write_brought(Path("data/brought/mine"))


@pytest.fixture
def bring(brought: Path, tiny_images: Path) -> Callable[[dict[str, Any]], Path]:
    """A function that runs the stage on an entry and returns its result folder."""

    def run(entry: dict[str, Any], name: str = "mine", out: str = "data/bring_classifiers/mine") -> Path:
        Path("params.yaml").write_text(yaml.safe_dump({"bring_classifiers": {name: entry}}), encoding="utf-8")
        images = Path(os.path.relpath(tiny_images))
        main(entry=name, folder=Path("data/brought", name), images=images, corrupted=images, out=Path(out))
        return Path(out)

    return run
