"""Classifiers that may have learned from MNIST: what is said on mnist-5k, and what MNIST's own test images add."""

import json
from dataclasses import replace

import numpy as np
import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.images.sources import MNIST, load_mnist_5k
from stages.bring_classifiers import measuring
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.stages.bring_classifiers.readers import DIGITS_ENTRY, ENTRY, write_digit_reader
from tests.stages.prepare_images.idx_files import write_source

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SECTIONS = {name: PARAMS[name] for name in ("prepare_images", "corrupt_images")}


@pytest.fixture
def measure(brought, bring, digits):
    """A function that brings the digit reader and returns metrics.json as bytes."""
    write_digit_reader(brought)
    return lambda: (bring(DIGITS_ENTRY, digits, **SECTIONS) / "metrics.json").read_bytes()


@pytest.fixture
def mnist_folder(tmp_path, monkeypatch):
    """The test files of a small MNIST, whose images are digits of mnist-5k; only the checksums are other ones."""
    train, _ = load_mnist_5k(seed=1, test_fraction=0.2)
    arrays = dict.fromkeys(MNIST.md5_by_file, train.labels[:60].astype(np.uint8))
    arrays["t10k-images-idx3-ubyte"] = train.images[:60]
    source = replace(MNIST, md5_by_file=write_source(tmp_path / "idx", arrays, packed=True).md5_by_file)
    monkeypatch.setattr(measuring, "MNIST", source)
    for path in (tmp_path / "idx").glob("train-*"):
        path.unlink()
    return tmp_path / "idx"


def test_the_known_test_images_are_told_and_where_mnist_is_at_hand_its_own_are_measured_and_nothing_else_changes(
    measure, monkeypatch, mnist_folder, caplog
):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    without = json.loads(measure())
    assert without["mnist_test"] is None
    assert without["mnist_test_reason"] == "the environment variable MNIST_DIR was not set"
    (warning,) = without["warnings"]
    assert "mnist-5k is part of MNIST's training set: if it learned from MNIST it has seen" in warning
    assert "set MNIST_DIR to" in warning
    assert f"warning: {warning}" in caplog.messages
    monkeypatch.setenv("MNIST_DIR", str(mnist_folder))
    content = measure()
    assert measure() == content
    assert str(mnist_folder).encode() not in content
    metrics = json.loads(content)
    found = metrics.pop("mnist_test")
    assert found["clean_test_accuracy"]["n"] == found["corrupted_test_accuracy"]["n"] == 60
    assert found["corrupted_half_test_accuracy"]["n"] == 30
    assert 0.9 < found["clean_test_accuracy"]["value"] <= 1
    assert found["corrupted_half_test_accuracy"]["value"] < 1
    assert "mnist_test_reason" not in metrics
    assert metrics.pop("warnings") != without.pop("warnings")
    assert metrics.items() <= without.items()


def test_a_folder_without_mnist_stops_the_stage(measure, monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    told = r"nowhere/t10k-images-idx3-ubyte: missing, and so is t10k-images-idx3-ubyte\.gz"
    with pytest.raises(StageError, match=told):
        measure()


def test_of_other_images_nothing_is_said(bring, monkeypatch, mnist_folder):
    """On MNIST itself, its test images are the run's."""
    monkeypatch.setenv("MNIST_DIR", str(mnist_folder))
    metrics = json.loads((bring(ENTRY) / "metrics.json").read_bytes())
    assert metrics["warnings"] == []
    assert not {"mnist_test", "mnist_test_reason"} & set(metrics)
