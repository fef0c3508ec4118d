"""The stage from outside: equal bytes on a second run, and one line for each mistake."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from failure_atlas.core.arrays import read_attributes
from failure_atlas.images.image_set import to_unit
from failure_atlas.images.sources import IDX_SOURCES
from stages.common.artefacts.images import read_class_names, read_images, read_tracks
from stages.prepare_images.__main__ import main
from tests.house import ROOT
from tests.refusing import refused
from tests.stages.prepare_images.idx_files import small_set, write_source
from tests.stages.running import Stage, read_metrics

SECTION = {
    "source": "mnist-5k", "seed": 1, "test_fraction": 0.2, "size_px": 32, "channels": 1, "fit": "pad",
    "on_problem": "stop", "class_names": None, "classes": None,
    "leave_out_mnist_5k": False,
}  # fmt: skip
# SHA-256 of pixels, then labels.
DEFAULT_TRAINING_IMAGES = "12cb6f4ef52133a7a101361da71748b153ea0582a1b260f1246c8a0aa1b75418"


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory):
    own = tmp_path_factory.mktemp("own")
    return Stage(request, main, "prepare_images", SECTION, own_images=own, downloads=own / "downloads")


def test_twice_gives_equal_bytes(tmp_path, out, hash_folder):
    command = [sys.executable, "-m", "stages.prepare_images", "--params", out.with_suffix(".yaml"), "--out", "one"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert hash_folder(tmp_path / "one") == hash_folder(out)

    store, metrics = out / "images.zarr", read_metrics(out)
    train = read_images(store, "train")
    assert (train.images.shape, train.images.dtype) == ((4000, 1, 32, 32), np.uint8)
    assert not train.images[:, :, :2].any()
    assert (train.labels.dtype, read_class_names(store)) == (np.int64, list("0123456789"))
    assert read_attributes(store)["source"] == "mnist-5k"
    unit = to_unit(train.images[:3])
    assert (unit.min(), unit.max()) == (0, 1)
    counts = metrics["train_images"], metrics["test_images"], metrics["test_images_per_class"]["7"]
    assert counts == (4000, 1000, 100)
    assert (out / "figures" / "samples.png").stat().st_size > 1000
    assert (out / "problems.csv").read_text() == "split,image,class,problem,detail,action\n"
    # What the released results were made of: the same bytes on every machine and in every version.
    content = hashlib.sha256(b"".join(part.tobytes() for part in (train.images, train.labels))).hexdigest()
    assert content == DEFAULT_TRAINING_IMAGES


NO_NAMES = r"class_names: null with source {}: its {}"
WRONG_PARAMS = [
    (
        {"source": "cifar"},
        r"prepare_images\.source: got 'cifar'; allowed: 'mnist-5k', 'mnist', 'fashion-mnist', 'gtsrb', 'npz', ",
    ),
    ({"leave_out_mnist_5k": True}, r"leave_out_mnist_5k is true, which goes with source mnist alone, not .*mnist-5k"),
    ({"size_px": 48}, r"prepare_images\.size_px: got 48; allowed: 16, 32, 64, 128, 256, 512 or 1024"),
    ({"class_names": ["a", "b"]}, NO_NAMES.format("mnist-5k", "classes have names")),
    (
        {"source": "image-folder", "class_names": ["a", "b"]},
        NO_NAMES.format("image-folder", "folders name the classes"),
    ),
    ({"source": "npz", "class_names": ["a"]}, r"prepare_images\.class_names: got \['a'\]; allowed: .* at least 2"),
    (
        {"source": "npz", "own_images": Path("gone")},
        r"no such folder; prepare_images\.source npz reads your images from it",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_PARAMS)
def test_wrong_params_name_key_value_and_what_is_allowed(refuse, changes, message):
    refuse(message, **changes)


GARMENTS = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"


@pytest.mark.parametrize("source", ["mnist", "fashion-mnist"])
def test_a_folder_of_the_environment_is_read_and_nothing_is_downloaded(tmp_path, monkeypatch, run, refuse, source):
    arrays, downloads = small_set((40, 10), classes=10, size=(28, 28)), tmp_path / "downloads"
    toy = write_source(tmp_path / "idx", arrays, packed=True)  # only the checksums are other ones
    monkeypatch.setitem(IDX_SOURCES, source, replace(IDX_SOURCES[source], md5_by_file=toy.md5_by_file))
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    refuse(r"nowhere/train-images-idx3-ubyte: missing", source=source, downloads=downloads)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "idx"))
    out = run(source=source, downloads=downloads)
    names = [name.replace("_", " ") for name in ([*"0123456789"] if source == "mnist" else GARMENTS.split())]
    assert read_class_names(out / "images.zarr") == names
    test = read_images(out / "images.zarr", "test")
    np.testing.assert_array_equal(test.labels, arrays["t10k-labels-idx1-ubyte"])
    np.testing.assert_array_equal(test.images[:, 0, 2:30, 2:30], arrays["t10k-images-idx3-ubyte"])
    assert not test.images[:, :, :2].any()
    assert read_metrics(out)["train_images_per_class"] == dict.fromkeys(names, 4)
    assert not downloads.exists()


def save_classes(folder, classes=3, each=14):
    """`each` images of each class, all different: PNG, 40 x 30 px, colour."""
    stream = np.random.default_rng(3)
    for label in range(classes):
        place = folder / f"class {label + 8}"
        place.mkdir(parents=True)
        for number in range(each):
            Image.fromarray(stream.integers(0, 256, (30, 40, 3), np.uint8)).save(place / f"{number}.png")


OWN = {"source": "image-folder", "size_px": 64, "channels": 3, "test_fraction": 0.25}


def test_own_images_are_split_by_seed_with_equal_bytes(tmp_path, run, hash_folder):
    save_classes(tmp_path / "own")
    one, two = (run(name, **OWN, own_images=tmp_path / "own") for name in ("one", "two"))
    assert hash_folder(one) == hash_folder(two)
    store, metrics = one / "images.zarr", read_metrics(one)
    train, test = read_images(store, "train"), read_images(store, "test")
    assert train.images.shape == (30, 3, 64, 64)
    assert np.bincount(test.labels).tolist() == [4, 4, 4]
    assert read_class_names(store) == ["class 8", "class 9", "class 10"]
    kept = {image.tobytes() for image in np.concatenate([train.images, test.images])}
    sources = [np.asarray(Image.open(path)) for path in (tmp_path / "own").rglob("*.png")]
    assert kept == {np.pad(np.moveaxis(image, -1, 0), ((0, 0), (17, 17), (12, 12))).tobytes() for image in sources}
    assert (metrics["channels"], metrics["size_px"], metrics["classes"]) == (3, 64, 3)
    assert metrics["images_by_change"] == {"converted_to_colour": 0, "converted_to_grey": 0, "padded": 42, "resized": 0}
    assert metrics["images_dropped"] == 0


def spoil(folder):
    """Five problems: a cut file, a copy, two of one picture in two classes, one that is too large."""
    (folder / "class 8" / "3.png").write_bytes((folder / "class 8" / "3.png").read_bytes()[:500])
    shutil.copy(folder / "class 9" / "0.png", folder / "class 9" / "zero.png")
    shutil.copy(folder / "class 8" / "1.png", folder / "class 10" / "one.png")
    big = np.random.default_rng(4).integers(0, 256, (65, 9, 3), np.uint8)
    Image.fromarray(big).save(folder / "class 8" / "big.png")


def test_problems_stop_the_run_or_are_dropped_and_are_listed(tmp_path, run):
    changes, out = OWN | {"own_images": tmp_path / "own"}, tmp_path / "out"
    save_classes(tmp_path / "own", each=16)
    spoil(tmp_path / "own")
    told = (
        r"own: 5 of 51 images have a problem: 1 unreadable, 1 wrong_size, 1 duplicate, 2 conflict\. First: class "
        r"8/3\.png: unreadable \(OSError: .*\); class 8/big\.png: wrong_size \(it is 9 x 65 px, size_px is 64\); .* "
        r"All are listed in .*problems\.csv; mend them \(too large ones: raise prepare_images\.size_px, or set "
        r"prepare_images\.fit: resize\), or set prepare_images\.on_problem: drop"
    )
    refused(told, run, **changes)
    assert [path.name for path in out.iterdir()] == ["problems.csv"]
    table = pd.read_csv(out / "problems.csv")
    assert set(table["action"]) == {"stopped"}
    assert sorted(table["image"]) == [
        "class 10/one.png", "class 8/1.png", "class 8/3.png", "class 8/big.png", "class 9/zero.png",
    ]  # fmt: skip
    run(**changes | {"on_problem": "drop"})
    metrics = read_metrics(out)
    assert metrics["images_dropped"] == 5
    assert metrics["train_images"] + metrics["test_images"] == 46
    assert metrics["images_by_problem"]["conflict"] == 2
    assert set(pd.read_csv(out / "problems.csv")["action"]) == {"dropped"}


def test_of_some_classes_alone_no_other_is_read(tmp_path, run):
    save_classes(tmp_path / "own", classes=4)
    (tmp_path / "own" / "class 10" / "3.png").write_bytes(b"no image")
    store = run(**OWN, own_images=tmp_path / "own", classes=["class 11", "class 8"]) / "images.zarr"
    assert read_class_names(store) == ["class 8", "class 11"]
    images = np.concatenate([read_images(store, split).images for split in ("train", "test")])
    sources = [np.asarray(Image.open(path)) for name in ("8", "11") for path in (tmp_path / "own").glob(f"*{name}/*")]
    assert {image[:, 17:47, 12:52].tobytes() for image in images} == {
        np.moveaxis(image, -1, 0).tobytes() for image in sources
    }
    assert read_tracks(store).tolist() == list(range(20))  # nothing is known of tracks: each image by itself


def test_a_published_set_keeps_some_classes_of_both_splits(run, out):
    some, everything = (read_images(folder / "images.zarr", "test") for folder in (run(classes=["7", "2"]), out))
    np.testing.assert_array_equal(some.images, everything.images[np.isin(everything.labels, [2, 7])])
    assert np.bincount(some.labels).tolist() == [100, 100]


def test_a_split_of_ones_own_is_kept_and_small_classes_are_named(tmp_path, run):
    save_classes(tmp_path / "own" / "train", each=11)
    shutil.copytree(tmp_path / "own" / "train", tmp_path / "own" / "test")  # every image is in both
    told = r"^3 of 3 classes have too few images: 'class 8' \(0 training, 11 test\)"
    refused(told, run, **OWN | {"on_problem": "drop"}, own_images=tmp_path / "own")
    assert set(pd.read_csv(tmp_path / "out" / "problems.csv")["problem"]) == {"leak"}


def test_what_is_odd_about_all_images_is_warned_of_and_kept(tmp_path, run, caplog):
    stream = np.random.default_rng(5)
    for split in ("train", "test", "val"):
        save_classes(tmp_path / "own" / split, classes=2)
        for path in (tmp_path / "own" / split).rglob("*.png"):
            Image.fromarray(stream.integers(0, 4096, (30, 40), np.uint16)).save(path)
    left_out, narrow = read_metrics(run(**OWN, own_images=tmp_path / "own"))["warnings"]
    assert left_out.startswith("val (28 files) is left out")
    assert narrow.startswith("the images use the grey levels 0 to 16 of 0 to 255")
    assert [record.message.split(": ", 2)[2] for record in caplog.records if record.levelname == "WARNING"] == [
        left_out, narrow,
    ]  # fmt: skip


def test_published_images_may_become_larger_and_coloured(run):
    out = run(size_px=64, channels=3, fit="resize")
    train = read_images(out / "images.zarr", "train")
    assert train.images.shape == (4000, 3, 64, 64)
    np.testing.assert_array_equal(train.images[:, 0], train.images[:, 2])
    assert read_metrics(out)["images_by_change"]["resized"] == 5000
