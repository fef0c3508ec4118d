"""The stage from outside: equal bytes on a second run, the store it leaves, and one line for each mistake."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import read_array, read_attributes, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.corruptions.registry import REGISTRY
from failure_atlas.images.image_set import ImageSet
from stages.common.artefacts.images import named_arrays, read_class_names, read_images, read_severities
from stages.corrupt_images.__main__ import main
from stages.corrupt_images.gallery import main as draw_gallery
from tests.house import ROOT

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


def test_twice_gives_equal_bytes_and_keeps_order_and_labels(tmp_path, write_params, hash_folder):
    params, images = write_params({"corrupt_images": SECTION}), write_images(tmp_path / "images.zarr")
    command = [sys.executable, "-m", "stages.corrupt_images", "--images", images, "--params", params, "--out", "one"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    main(images=images, out=tmp_path / "two", params=params)
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert {"figures/samples.csv", "figures/samples.png", "figures/severities.csv", "figures/severities.png"} < set(
        hash_folder(tmp_path / "one")
    )

    store = tmp_path / "one" / "images.zarr"
    assert read_attributes(store) == {"source": "small", "class_names": list("abcd")}
    digest = hashlib.sha256()  # the bytes before recipes were params
    for name in ("train_images", "train_blur_severity", "train_noise_severity", "test_images"):
        digest.update(read_array(store, name).tobytes())
    assert digest.hexdigest() == "9fe9d7de25c20caab06a613f633aa949c953630bba707c51b8a98616c0a6c099"
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severities": [1, 7]}, r"corrupt_images\.severities\.1: got 7; allowed: less than or equal to 5"),
        ({"severities": [2, 2]}, r"corrupt_images\.severities: got \[2, 2\]; allowed: each severity at most once"),
        ({"table": "imagenet"}, r"corrupt_images\.table: got 'imagenet'; allowed: 'imagenet-c', 'tiny-imagenet-c', 'c"),
        ({"recipe": ["blurr"]},
         r"corrupt_images\.recipe: got \['blurr'\]; allowed: names from: gaussian_noise, .*; there is no 'blurr'"),
        ({"recipe": ["fog", "fog"]},
         r"corrupt_images\.recipe: got \['fog', 'fog'\]; allowed: each corruption at most on"),
        ({"recipe": ["saturate"], "table": "mnist-c"},
         r"corrupt_images: allowed: table imagenet-c or tiny-imagenet-c or cifar-c with saturate in the recipe; got"),
    ],
)  # fmt: skip
def test_wrong_params_name_key_value_and_what_is_allowed(tmp_path, changes, message, write_params):
    params = write_params({"corrupt_images": SECTION | changes})
    with pytest.raises(StageError, match=message):
        main(images=tmp_path / "images.zarr", out=tmp_path / "out", params=params)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("recipe", [["impulse_noise"], ["rotate", "shot_noise", "jpeg_compression"]])
def test_any_recipe_and_none_where_all_stays_clean(tmp_path, write_params, recipe):
    params = write_params({"corrupt_images": SECTION | {"recipe": recipe}})
    store = tmp_path / "out" / "images.zarr"
    main(images=write_images(tmp_path / "images.zarr"), out=tmp_path / "out", params=params)
    severities = read_severities(store, "train")
    assert list(severities.by_step) == recipe
    assert severities.clean.sum() == 20
    assert all(set(drawn.tolist()) == {0, 1, 2, 3} for drawn in severities.by_step.values())
    clean, corrupted = (read_images(path, "train").images for path in (tmp_path / "images.zarr", store))
    np.testing.assert_array_equal((clean == corrupted).all(axis=(1, 2, 3)), severities.clean)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {f"test_images_per_{step}_severity" for step in recipe} < set(metrics)
    cells = pd.read_csv(tmp_path / "out" / "figures" / "severities.csv")
    assert len(cells) == 3 * 4 * len(recipe)  # panels, severities, rows
    alone = cells[[f"{step}_severity" for step in recipe]].to_numpy()
    assert ((alone > 0).sum(axis=1) <= 1).all()
    assert (cells.loc[(alone == 0).all(axis=1), "mean_change_grey_levels"] == 0).all()
    samples = pd.read_csv(tmp_path / "out" / "figures" / "samples.csv")
    np.testing.assert_array_equal(samples[f"{recipe[0]}_severity"], severities.by_step[recipe[0]][samples["sample"]])
    params = write_params({"corrupt_images": SECTION | {"recipe": recipe, "clean_fraction": 1.0}})
    main(images=tmp_path / "images.zarr", out=tmp_path / "out", params=params)
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["train_mean_change_grey_levels"] == 0


def test_colour_images_and_what_only_they_can_suffer(tmp_path, write_params):
    params = write_params({"corrupt_images": SECTION | {"recipe": ["saturate", "gaussian_noise"]}})
    main(images=write_images(tmp_path / "colour.zarr", channels=3), out=tmp_path / "colour", params=params)
    assert list(read_severities(tmp_path / "colour" / "images.zarr", "test").by_step) == ["saturate", "noise"]
    told = r"grey\.zarr: corrupt_images\.recipe: saturate needs images of 3 channels, these have 1; allowed on them"
    with pytest.raises(StageError, match=told):
        main(images=write_images(tmp_path / "grey.zarr"), out=tmp_path / "grey", params=params)
    assert not (tmp_path / "grey").exists()


def test_the_gallery_shows_every_corruption(tmp_path, caplog):
    images = write_images(tmp_path / "images.zarr")
    with caplog.at_level("INFO"):
        draw_gallery(images, tmp_path / "gallery.png", index=3)
    assert "left out: saturate needs images of 3 channels, these have 1" in caplog.text
    rows = pd.read_csv(tmp_path / "gallery.csv")
    assert set(rows["corruption"]) == set(REGISTRY) - {"saturate"}
    assert (rows.groupby("corruption")["severity"].apply(list).map(tuple) == (1, 2, 3, 4, 5)).all()
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
    draw_gallery(images, tmp_path / "again.png", index=3)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "gallery.png").read_bytes()


def test_mistakes_with_the_gallery_and_missing_images(tmp_path, write_params):
    images = write_images(tmp_path / "images.zarr")
    picture = tmp_path / "gallery.png"
    for told, ask in {
        r"--table: got 'own'; allowed: imagenet-c, tiny-imagenet-c, cifar-c, mnist-c":
            lambda: draw_gallery(images, picture, table="own"),
        r"--index: got 20; allowed: 0 to 19, the test images of .*images\.zarr":
            lambda: draw_gallery(images, picture, index=20),
        r"--out: got .*gallery; allowed: the name of a \.png file": lambda: draw_gallery(images, tmp_path / "gallery"),
        r"gone: missing; make it with: dvc repro prepare_images": lambda: draw_gallery(tmp_path / "gone", picture),
        r"gone: missing; make it .* prepare_images":
            lambda: main(tmp_path / "gone", tmp_path / "out", write_params({"corrupt_images": SECTION})),
    }.items():  # fmt: skip
        with pytest.raises(StageError, match=told):
            ask()
