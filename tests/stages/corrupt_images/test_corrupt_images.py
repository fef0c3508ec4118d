"""The stage from outside: equal bytes on a second run, the store it leaves, and one line for each mistake."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.corruptions.registry import REGISTRY
from failure_atlas.images.image_set import ImageSet
from stages.common.artefacts.images import named_arrays, read_class_names, read_images, read_severities
from stages.corrupt_images.__main__ import main
from stages.corrupt_images.gallery import main as draw_gallery
from tests.house import ROOT
from tests.refusing import refused
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "clean_fraction": 0.5, "recipe": ["gaussian_blur", "gaussian_noise"], "table": "imagenet-c",
    "severities": [1, 2, 3],
}  # fmt: skip


def write_images(path, channels=1):
    stream = np.random.default_rng(4)
    arrays = {}
    for split, n in (("train", 40), ("test", 20)):
        images = stream.integers(0, 256, (n, channels, 32, 32), np.uint8)
        arrays |= named_arrays(split, ImageSet(images, np.arange(n, dtype=np.int64) % 4))
    write_arrays(path, arrays, {"source": "small", "class_names": list("abcd")})
    return path


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory):
    images = write_images(tmp_path_factory.mktemp("images") / "images.zarr")
    return Stage(request, main, "corrupt_images", SECTION, images=images)


def test_twice_gives_equal_bytes_and_keeps_order_and_labels(stage, out, tmp_path, hash_folder):
    images, params = stage.inputs["images"], out.with_suffix(".yaml")
    command = [sys.executable, "-m", "stages.corrupt_images", "--images", images, "--params", params, "--out", "one"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert (hashes := hash_folder(tmp_path / "one")) == hash_folder(out)
    assert {f"figures/{name}.{kind}" for name in ("samples", "severities") for kind in ("csv", "png")} < set(hashes)

    store = out / "images.zarr"
    assert read_attributes(store) == {"source": "small", "class_names": list("abcd")}
    digest = hashlib.sha256()  # the bytes before recipes were params
    for name in ("train_images", "train_blur_severity", "train_noise_severity", "test_images"):
        digest.update(read_array(store, name).tobytes())
    assert digest.hexdigest() == "9fe9d7de25c20caab06a613f633aa949c953630bba707c51b8a98616c0a6c099"
    metrics = read_metrics(out)
    assert read_class_names(store) == list("abcd")
    for split, n in (("train", 40), ("test", 20)):
        clean, corrupted = (read_images(path, split) for path in (images, store))
        severities = read_severities(store, split)
        np.testing.assert_array_equal(clean.labels, corrupted.labels)
        same = (clean.images == corrupted.images).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(same, severities.clean)
        assert severities.clean.sum() == n // 2 == metrics[f"{split}_clean_images"]
        assert sum(metrics[f"{split}_images_per_blur_severity"].values()) == n // 2
        assert metrics[f"{split}_mean_change_grey_levels"] > 5


@pytest.mark.parametrize("recipe", [["impulse_noise"], ["rotate", "shot_noise", "jpeg_compression"]])
def test_any_recipe_and_none_where_all_stays_clean(stage, run, recipe):
    out = run(recipe=recipe)
    severities, metrics = read_severities(out / "images.zarr", "train"), read_metrics(out)
    assert (list(severities.by_step), severities.clean.sum()) == (recipe, 20)
    assert all(set(drawn.tolist()) == {0, 1, 2, 3} for drawn in severities.by_step.values())
    clean, corrupted = (read_images(path, "train").images for path in (stage.inputs["images"], out / "images.zarr"))
    np.testing.assert_array_equal((clean == corrupted).all(axis=(1, 2, 3)), severities.clean)
    assert {f"test_images_per_{step}_severity" for step in recipe} < set(metrics)
    cells = pd.read_csv(out / "figures" / "severities.csv")
    assert len(cells) == 3 * 4 * len(recipe)  # panels, severities, rows
    alone = cells[[f"{step}_severity" for step in recipe]].to_numpy()
    assert ((alone > 0).sum(axis=1) <= 1).all()
    assert (cells.loc[(alone == 0).all(axis=1), "mean_change_grey_levels"] == 0).all()
    samples = pd.read_csv(out / "figures" / "samples.csv")
    np.testing.assert_array_equal(samples[f"{recipe[0]}_severity"], severities.by_step[recipe[0]][samples["sample"]])
    assert read_metrics(run(recipe=recipe, clean_fraction=1.0))["train_mean_change_grey_levels"] == 0


def test_colour_images_and_what_only_they_can_suffer(run, refuse, tmp_path):
    changes = {"recipe": ["saturate", "gaussian_noise"]}
    told = r"images\.zarr: corrupt_images\.recipe: saturate needs images of 3 channels, these have 1; allowed on them"
    refuse(told, **changes)
    out = run(images=write_images(tmp_path / "colour.zarr", channels=3), **changes)
    assert list(read_severities(out / "images.zarr", "test").by_step) == ["saturate", "noise"]


def test_the_gallery_shows_every_corruption(stage, tmp_path, caplog):
    images = stage.inputs["images"]
    with caplog.at_level("INFO"):
        draw_gallery(images, tmp_path / "gallery.png", index=3)
    assert "left out: saturate needs images of 3 channels, these have 1" in caplog.text
    rows = pd.read_csv(tmp_path / "gallery.csv")
    assert set(rows["corruption"]) == set(REGISTRY) - {"saturate"}
    assert (rows.groupby("corruption")["severity"].apply(list).map(tuple) == (1, 2, 3, 4, 5)).all()
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
    draw_gallery(images, tmp_path / "again.png", index=3)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "gallery.png").read_bytes()


def test_mistakes_with_the_gallery_and_missing_images(stage, refuse, tmp_path):
    images, picture, gone = stage.inputs["images"], tmp_path / "gallery.png", tmp_path / "gone"
    for told, where, to, changes in (
        (
            "--table: got 'own'; allowed: imagenet-c, tiny-imagenet-c, cifar-c, mnist-c",
            images,
            picture,
            {"table": "own"},
        ),
        (r"--index: got 20; allowed: 0 to 19, the test images of .*images\.zarr", images, picture, {"index": 20}),
        (r"--out: got .*gallery; allowed: the name of a \.png file", images, tmp_path / "gallery", {}),
        ("gone: missing; make it with: dvc repro prepare_images", gone, picture, {}),
    ):
        refused(told, draw_gallery, where, to, **changes)
    refuse("gone: missing; make it .* prepare_images", images=gone)
