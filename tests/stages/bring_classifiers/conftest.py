"""A folder that a person brings, for the bars of `tiny_images`, and the stage run on it."""

import os
from pathlib import Path

import pytest
import torch

from failure_atlas.brought.checkpoint import adapt, read_network, save_brought
from failure_atlas.brought.folder import hash_files
from failure_atlas.brought.params import BringClassifierParams
from stages.bring_classifiers.__main__ import main
from tests import yaml12 as yaml
from tests.stages.bring_classifiers.readers import write_brought, write_digits

NAMES = [str(label) for label in range(10)]


@pytest.fixture(autouse=True)
def _cpu(monkeypatch):
    monkeypatch.setenv("FAILURE_ATLAS_DEVICE", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are so small that a second thread only waits
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")  # the stage asks for deterministic kernels; other tests do themselves


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """An images store of real digits, as `tiny_images`."""
    path = tmp_path_factory.mktemp("digits") / "images.zarr"
    write_digits(path)
    return path


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """The folder data/brought/mine of a project that is the current folder: a module and its weights."""
    monkeypatch.chdir(tmp_path)
    return write_brought(Path("data/brought/mine"))


@pytest.fixture
def bring(brought, tiny_images):
    """A function that runs the stage on an entry and returns its result folder; sections: others of params."""

    def run(entry, images=tiny_images, **sections):
        params = sections | {"bring_classifiers": {"mine": entry}}
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        store, out = Path(os.path.relpath(images)), Path("data/bring_classifiers/mine")
        main(entry="mine", folder=brought, images=store, corrupted=store, out=out)
        return out

    return run


@pytest.fixture
def keep(brought):
    """A function that writes the file of an entry as the stage does, without measuring it, and returns its path."""

    def save(entry, name="mine"):
        section, folder = BringClassifierParams.model_validate(entry), brought.parent / name
        key, path = f"bring_classifiers.{name}", Path(f"data/bring_classifiers/{name}/classifier.safetensors")
        classifier = adapt(read_network(section, folder, key), section, (1, 32, 32), NAMES, key)
        save_brought(path, classifier, section, folder, name, hash_files(folder))
        return path

    return save
