"""The stage from outside: equal bytes on a second run, the store it leaves, and one line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.common.arrays import write_arrays
from stages.common.errors import StageError
from stages.corrupt_images.__main__ import main
from stages.corrupt_images.store import read_severities
from stages.prepare_images.store import ImageSet, named_arrays, read_class_names, read_images

PROJECT = Path(__file__).parents[3]
SECTION = {"seed": 1, "clean_fraction": 0.5, "table": "imagenet-c", "severities": [1, 2, 3]}


def write_images(path):
    stream = np.random.default_rng(4)
    arrays = {}
    for split, n in (("train", 40), ("test", 20)):
        images = stream.integers(0, 256, (n, 1, 32, 32), np.uint8)
        arrays |= named_arrays(split, ImageSet(images, np.arange(n, dtype=np.int64) % 4))
    write_arrays(path, arrays, {"source": "small", "class_names": list("abcd")})
    return path


def run(folder, *arguments):
    command = [sys.executable, "-m", "stages.corrupt_images", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_twice_gives_equal_bytes_and_keeps_order_and_labels(tmp_path, write_params, hash_folder):
    params, images = write_params({"corrupt_images": SECTION}), write_images(tmp_path / "images.zarr")
    for name in ("one", "two"):
        done = run(tmp_path, "--images", images, "--params", params, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert {"figures/samples.csv", "figures/samples.png", "figures/severities.csv", "figures/severities.png"} < set(
        hash_folder(tmp_path / "one")
    )

    store = tmp_path / "one" / "images.zarr"
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert read_class_names(store) == list("abcd")
    for split, n in (("train", 40), ("test", 20)):
        clean, corrupted, severities = (
            read_images(images, split),
            read_images(store, split),
            read_severities(store, split),
        )
        np.testing.assert_array_equal(clean.labels, corrupted.labels)
        same = (clean.images == corrupted.images).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(same, severities.clean)
        assert severities.clean.sum() == n // 2 == metrics[f"{split}_clean_images"]
        assert sum(metrics[f"{split}_images_per_blur_severity"].values()) == n // 2
        assert metrics[f"{split}_mean_change_grey_levels"] > 5


def test_all_clean(tmp_path, write_params):
    params = write_params({"corrupt_images": SECTION | {"clean_fraction": 1.0}})
    main(images=write_images(tmp_path / "images.zarr"), out=tmp_path / "out", params=params)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["train_mean_change_grey_levels"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severities": [1, 7]}, r"corrupt_images\.severities\.1: got 7; allowed: less than or equal to 5"),
        ({"severities": [0]}, r"corrupt_images\.severities\.0: got 0; allowed: greater than or equal to 1"),
        ({"severities": []}, r"corrupt_images\.severities: got \[\]; allowed: .* at least 1 item"),
        ({"severities": [2, 2]}, r"corrupt_images\.severities: got \[2, 2\]; allowed: each severity at most once"),
        ({"severities": 2}, r"corrupt_images\.severities: got 2; allowed: a valid list"),
        ({"clean_fraction": 1.5}, r"corrupt_images\.clean_fraction: got 1\.5; allowed: less than or equal to 1"),
        ({"table": "imagenet"}, r"corrupt_images\.table: got 'imagenet'; allowed: 'imagenet-c', 'tiny-imagenet-c' or"),
        (
            {"severity": [1]},
            r"corrupt_images\.severity: unknown key; allowed here: seed, clean_fraction, table, severi",
        ),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(tmp_path, changes, message, write_params):
    params = write_params({"corrupt_images": SECTION | changes})
    with pytest.raises(StageError, match=message):
        main(images=tmp_path / "images.zarr", out=tmp_path / "out", params=params)
    assert not (tmp_path / "out").exists()


def test_missing_images_name_the_stage_that_makes_them(tmp_path, write_params):
    params = write_params({"corrupt_images": SECTION})
    with pytest.raises(StageError, match=r"images\.zarr: missing; make it with: dvc repro prepare_images"):
        main(images=tmp_path / "images.zarr", out=tmp_path / "out", params=params)
    assert not (tmp_path / "out").exists()
