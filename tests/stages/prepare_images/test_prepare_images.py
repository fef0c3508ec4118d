"""The stage from outside: equal bytes on a second run, and one line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.common.arrays import read_attributes
from stages.common.errors import StageError
from stages.prepare_images.__main__ import main
from stages.prepare_images.store import read_class_names, read_images, to_unit

PROJECT = Path(__file__).parents[3]
SECTION = {"source": "mnist-5k", "seed": 1, "test_fraction": 0.2, "size_px": 32, "leave_out_mnist_5k": False}


def run(folder, *arguments):
    command = [sys.executable, "-m", "stages.prepare_images", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_twice_gives_equal_bytes(tmp_path, write_params, hash_folder):
    params = write_params({"prepare_images": SECTION})
    for name in ("one", "two"):
        done = run(tmp_path, "--params", params, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")

    store = tmp_path / "one" / "images.zarr"
    train = read_images(store, "train")
    assert train.images.shape == (4000, 1, 32, 32)
    assert train.images.dtype == np.uint8
    assert not train.images[:, :, :2].any()
    assert train.labels.dtype == np.int64
    assert read_class_names(store) == list("0123456789")
    assert read_attributes(store)["source"] == "mnist-5k"
    unit = to_unit(train.images[:3])
    assert (unit.min(), unit.max()) == (0, 1)
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["test_images"]) == (4000, 1000)
    assert metrics["test_images_per_class"]["7"] == 100
    assert (tmp_path / "one" / "figures" / "samples.png").stat().st_size > 1000


def test_mistake_is_one_line_and_nothing_is_written(tmp_path, write_params):
    params = write_params({"prepare_images": SECTION | {"source": "cifar"}})
    done = run(tmp_path, "--params", params, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "prepare_images.source: got 'cifar'; allowed: 'mnist-5k', 'mnist' or 'fashion-mnist'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"prepare_images\.seed: got -1; allowed: greater than or equal to 0"),
        ({"seed": "1"}, r"prepare_images\.seed: got '1'; allowed: a valid integer"),
        ({"test_fraction": 0.0}, r"prepare_images\.test_fraction: got 0\.0; allowed: greater than 0"),
        (
            {"leave_out_mnist_5k": True},
            r"leave_out_mnist_5k is true, which goes with source mnist alone, not .*mnist-5k",
        ),
        ({"size_px": 64}, r"prepare_images\.size_px: got 64; allowed: 32"),
        (
            {"sauce": "mnist"},
            r"prepare_images\.sauce: unknown key; allowed here: source, seed, test_fraction, size_px, leave_out",
        ),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(tmp_path, changes, message, write_params):
    params = write_params({"prepare_images": SECTION | changes})
    with pytest.raises(StageError, match=message):
        main(out=tmp_path / "out", params=params)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["mnist", "fashion-mnist"])
def test_folder_of_the_environment_is_read_and_nothing_is_downloaded(tmp_path, monkeypatch, source, write_params):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    params = write_params({"prepare_images": SECTION | {"source": source}})
    with pytest.raises(StageError, match=r"nowhere/train-images-idx3-ubyte: missing"):
        main(out=tmp_path / "out", params=params, downloads=tmp_path / "downloads")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
