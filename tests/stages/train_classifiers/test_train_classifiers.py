"""The stage from outside: equal bytes on a second run, what it leaves, and one line for each mistake."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.classifiers.networks import load_classifier
from failure_atlas.images.image_set import to_unit
from stages.common.artefacts.images import read_images
from stages.train_classifiers.__main__ import main
from tests.house import ROOT
from tests.refusing import refused
from tests.stages.running import read_metrics

AUGMENTATION = {"rotation_degrees": 5.0, "scale": 0.05, "shear": 0.05, "shift": 0.01, "interpolation": "nearest"}
ENTRY = {
    "train_on": "corrupted", "network": "plain", "width": 8, "training_images": 1600, "batch_size": 50,
    "precision": "float32",
    "learning_rate": 0.01, "weight_decay": 0.01, "augmentation": AUGMENTATION, "seed": 1
}  # fmt: skip


def test_twice_gives_equal_bytes_and_the_file_is_the_classifier_that_was_measured(
    tmp_path, tiny_images, write_params, hash_folder, monkeypatch
):
    monkeypatch.setenv("FAILURE_ATLAS_DEVICE", "cpu")
    params = write_params({"train_classifiers": {"small": ENTRY}})
    command = [sys.executable, "-m", "stages.train_classifiers", "small", "--images", tiny_images]
    command += ["--corrupted", tiny_images, "--params", params, "--out", "one"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    main("small", tiny_images, tiny_images, tmp_path / "two", params)
    hashes = hash_folder(tmp_path / "one")
    assert hashes == hash_folder(tmp_path / "two")
    tables = ("learning_curve", "reliability", "confusion", "severities")
    assert set(hashes) == {"classifier.safetensors", "metrics.json", *(f"tables/{name}.csv" for name in tables)}

    metrics = read_metrics(tmp_path / "one")
    classifier = load_classifier(tmp_path / "one" / "classifier.safetensors", torch.device("cpu"))
    test = read_images(tiny_images, "test")
    accuracy = (classifier(to_unit(test.images)).argmax(1).numpy() == test.labels).mean()
    for name in ("clean", "corrupted"):
        found = metrics[f"{name}_test_accuracy"]
        assert (found["value"], found["n"]) == (pytest.approx(accuracy), 50)
        assert found["low"] < accuracy <= found["high"]
        assert len(metrics[f"{name}_test_accuracy_per_class"]) == 10
        assert 0 <= metrics[f"{name}_calibration_error"] <= 1
        assert set(metrics[f"{name}_calibration_error_interval"]) == {"low", "high", "n"}
    assert accuracy > 0.5
    assert metrics["corrupted_half_test_accuracy"]["n"] == 25
    assert metrics["parameters"] == sum(tensor.numel() for tensor in classifier.parameters())
    confusion = pd.read_csv(tmp_path / "one" / "tables" / "confusion.csv")
    right = confusion["true_class"] == confusion["predicted_class"]
    assert confusion.loc[right & (confusion["test_set"] == "clean"), "n"].sum() == round(accuracy * 50)


def test_both_sets_are_joined_and_entries_of_one_seed_differ(tmp_path, tiny_images, write_params):
    entry = ENTRY | {"training_images": 50}
    both = entry | {"train_on": "both", "network": "residual"}
    params = write_params({"train_classifiers": {"one": entry, "two": entry, "judge": both}})
    for name in ("one", "two", "judge"):
        main(entry=name, images=tiny_images, corrupted=tiny_images, out=tmp_path / name, params=params)
    sizes = [read_metrics(tmp_path / name)["training_set_images"] for name in ("one", "two", "judge")]
    assert sizes == [100, 100, 150]
    files = [tmp_path / name / "classifier.safetensors" for name in ("one", "two")]
    first, second = (load_classifier(file, torch.device("cpu")).head.weight for file in files)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("missing", ["prepare_images", "corrupt_images"])
def test_missing_images_name_the_stage_that_makes_them(tmp_path, write_params, tiny_images, missing):
    params = write_params({"train_classifiers": {"small": ENTRY}})
    gone, made = tmp_path / "images.zarr", ("prepare_images", "corrupt_images")
    stores = [gone if stage == missing else tiny_images for stage in made]
    told = rf"images\.zarr: missing; make it with: dvc repro {missing}"
    refused(told, main, "small", *stores, tmp_path / "out", params)
    assert not (tmp_path / "out").exists()
