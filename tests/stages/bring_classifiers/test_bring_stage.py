"""The stage from outside: equal bytes on a second run, the file is what was brought, MNIST's own test images."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import read_array
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.images.image_set import to_unit
from failure_atlas.images.sources import MNIST, load_mnist_5k
from stages.bring_classifiers import measuring
from stages.bring_classifiers.__main__ import main as bring_classifiers
from stages.bring_classifiers.checks import spread
from stages.common.artefacts.images import read_images
from stages.rank_dimensions.__main__ import main as rank_dimensions
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.refusing import refused
from tests.stages.bring_classifiers import readers
from tests.stages.prepare_images.idx_files import write_source

CPU = torch.device("cpu")


def make_reader(source, size=32, **options):
    """The module of some code; options: of `bar_weights`."""
    names: dict[str, type[torch.nn.Module]] = {}
    exec(source, names)  # noqa: S102 - the module that was brought
    reader = names["Reader"](size=size).eval()
    reader.load_state_dict(readers.bar_weights(size=size, **options))
    return reader


def test_twice_gives_equal_bytes_and_the_file_is_the_classifier(brought, bring, tiny_images, hash_folder):
    entry = readers.ENTRY | {"arguments": {"size": 28}, "input": {"size_px": 28, "mean": [0.1], "std": [0.3]}}
    readers.write_brought(brought, mean=0.1, std=0.3, size=28)
    one = bring(entry).rename("one")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stages.bring_classifiers", "mine", "--folder", "data/brought/mine"]
    command += ["--images", str(tiny_images), "--corrupted", str(tiny_images), "--out", "data/bring_classifiers/mine"]
    subprocess.run(command, env=environment, check=True)
    hashes = hash_folder(one)
    assert hashes == hash_folder(Path("data/bring_classifiers/mine"))
    tables = ("usual_mistakes", "reliability", "confusion", "severities")
    assert {f"tables/{name}.csv" for name in tables} < set(hashes)
    assert [path.name for path in sorted(brought.iterdir())] == ["bars.py", "weights.pt"]  # no bytecode left there

    classifier = load_classifier(Path("data/bring_classifiers/mine/classifier.safetensors"), CPU)
    test = read_images(tiny_images, "test")
    shown = (to_unit(test.images)[:, :, 2:30, 2:30] - 0.1) / 0.3
    logits = make_reader(readers.SOURCE, mean=0.1, std=0.3, size=28)(shown)
    assert torch.allclose(classifier(to_unit(test.images)), logits, atol=1e-4)

    metrics = json.loads(Path("data/bring_classifiers/mine/metrics.json").read_text(encoding="utf-8"))
    accuracy = (logits.argmax(1).numpy() == test.labels).mean()
    assert accuracy > 0.9
    for name in ("clean", "corrupted"):
        measured = metrics[f"{name}_test_accuracy"]
        assert (measured["value"], measured["n"]) == (pytest.approx(accuracy), 50)
        assert len(metrics[f"{name}_test_accuracy_per_class"]) == 10
    assert (metrics["corrupted_half_test_accuracy"]["n"], metrics["parameters"]) == (25, 10 * 20 * 28 + 2)
    assert (metrics["form"], metrics["differentiable"], metrics["warnings"]) == ("load", True, [])
    tried = pd.read_csv("data/bring_classifiers/mine/tables/usual_mistakes.csv").set_index("change")
    assert (tried["n"] == np.where(tried.index == "class order", 25, 50)).all()
    assert tried.loc["polarity", "accuracy_after"] < 0.3 < tried.loc["polarity", "accuracy_before"]


def test_weights_of_each_form_are_the_same_and_a_module_may_read_its_own(brought, keep):
    weights, path = readers.bar_weights(), (brought / "weights.pt").resolve()
    load = f"\n\ndef build():\n    net = Reader()\n    net.load_state_dict(torch.load({str(path)!r}))\n    return net\n"
    (brought / "bars.py").write_text(readers.SOURCE + load, encoding="utf-8")
    save_file(weights, brought / "weights.safetensors")
    parallel = {f"module.{name}": each for name, each in weights.items()}
    torch.save({"epoch": 3, "state_dict": parallel}, brought / "checkpoint.pth")
    for change in ({}, {"weights": "weights.safetensors"}, {"weights": "checkpoint.pth"}, {"load": "bars:build"}):
        again = load_classifier(keep(change if "load" in change else readers.ENTRY | change), CPU)
        for name, tensor in weights.items():
            assert torch.equal(again.network.state_dict()[name], tensor)


def test_two_that_have_modules_of_one_name_do_not_meet_and_load_from_any_folder(brought, keep, tmp_path, monkeypatch):
    other = readers.SOURCE.replace("return -self", "return -2 * self")
    (brought / "helper.py").write_text("FACTOR = 1\n", encoding="utf-8")
    readers.write_brought(Path("data/brought/other"), other)
    paths = [keep(readers.ENTRY).resolve(), keep(readers.ENTRY, "other").resolve()]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    one, two = (load_classifier(path, CPU) for path in paths)
    images = torch.rand(3, 1, 32, 32)
    assert torch.allclose(2 * one(images), two(images))
    assert not {"bars", "helper"} & set(sys.modules)
    for classifier in (one, two):
        assert is_differentiable(classifier)
        assert not classifier.training
        assert not any(parameter.requires_grad for parameter in classifier.parameters())
    refused(r"images of shape \(1, 32, 32\), these have \(1, 28, 28\); bring it again", one, torch.rand(2, 1, 28, 28))


def test_downstream_an_answer_that_is_no_number_stops_the_stage_and_names_the_classifier(
    brought, keep, tiny_generator, tiny_population, tmp_path
):
    """It is finite on most images and NaN on those generated ones whose first pixel is dark."""
    dark = np.quantile(read_array(tiny_population / "population.zarr", "images")[:, 0, 0, 0] / 255, 0.1)
    edge = f"(x[:, 0, 0, :1] - {dark}).log()"
    (brought / "bars.py").write_text(readers.SOURCE.replace("** 2\n", f"** 2 + 0 * {edge}\n"), encoding="utf-8")
    section = {"seed": 1, "batch_size": 100, "split_halves": 4, "top_k": 2, "histogram_bins": 10}
    Path("params.yaml").write_text(yaml.safe_dump({"rank_dimensions": section}), encoding="utf-8")
    told, inputs = r"^bring_classifiers\.mine: its answer to \d+ of 100 images is not finite", keep(readers.ENTRY)
    refused(told, rank_dimensions, tiny_generator, inputs, tiny_population, tmp_path / "ranking")
    assert not (tmp_path / "ranking").exists()


def test_downstream_only_what_was_brought_is_loaded(brought, keep):
    out, held = keep(readers.ENTRY), (brought / "weights.pt").read_bytes()
    tensors, description = load_tensors(out, "brought classifier")
    sha, load = "SHA-256 [0-9a-f]{64}", partial(load_classifier, out, CPU)

    def tell(name, before, now):
        return rf"^data/brought/mine/{name}: expected {before}, found {now}; restore .*dvc repro bring_classifiers@mine"

    (brought / "bars.py").write_text(readers.SOURCE + "\n", encoding="utf-8")
    refused(tell("bars.py", sha, sha), load)
    (brought / "bars.py").write_text(readers.SOURCE, encoding="utf-8")
    (brought / "torch_patch.py").touch()
    refused(tell("torch_patch.py", "no such file", sha), load)
    (brought / "torch_patch.py").unlink()
    (brought / "weights.pt").unlink()
    refused(tell("weights.pt", sha, "no such file"), load)
    (brought / "weights.pt").write_bytes(held)
    save_tensors(out, tensors, description | {"entry": {"load": 3}})
    refused("holds no brought classifier that this version can read .*; bring it again with", load)
    tensors.pop("level")
    save_tensors(out, tensors, description)
    refused(r"its weights do not fit what bring_classifiers\.mine now makes", load)


def test_an_onnx_file_gives_the_same_answers_and_its_gradient(brought, bring, tiny_images):
    """Of batches of eight; other ones: test_brought_code.py."""
    reader = make_reader(readers.SOURCE.replace(".flatten(1)", ".view(x.size(0), -1)"))
    images = to_unit(read_images(tiny_images, "test").images)
    torch.onnx.export(reader, (images[:8],), brought / "bars.onnx", dynamo=False)
    classifier = load_classifier(bring({"onnx": "bars.onnx"}) / "classifier.safetensors", CPU)
    shown, again = images.clone().requires_grad_(True), images.clone().requires_grad_(True)
    assert torch.allclose(classifier(shown), reader(again), atol=1e-5)
    gradients = [torch.autograd.grad(net(x)[:, 3].sum(), x)[0] for net, x in ((classifier, shown), (reader, again))]
    assert torch.allclose(*gradients, atol=1e-5)
    assert gradients[0].abs().sum() > 0


UNUSABLE = [({"weights": "no.pt"}, "no file"), ({"load": "fails:Net"}, "fails .ValueError: no")]


@pytest.mark.parametrize(("change", "message"), UNUSABLE)
def test_an_entry_that_is_not_under_test_stops_nothing(brought, tiny_images, change, message, hash_folder):
    (brought / "fails.py").write_text("raise ValueError('no')", encoding="utf-8")
    out, params = Path("data/bring_classifiers/mine"), {"bring_classifiers": {"mine": readers.ENTRY | change}}

    def run(**classifiers):
        Path("params.yaml").write_text(yaml.safe_dump(params | {"classifiers": classifiers}), encoding="utf-8")
        bring_classifiers("mine", brought, tiny_images, tiny_images, out)

    refused(message, run, mine="bring_classifiers")
    assert not out.exists()
    run(clean="train_classifiers")
    hashes = hash_folder(out)
    assert set(hashes) == {"classifier.safetensors", "tables/refused.csv", "metrics.json"}
    assert message.split()[0] in json.loads((out / "metrics.json").read_text(encoding="utf-8"))["refused"]
    run(clean="train_classifiers")
    assert hash_folder(out) == hashes
    told = rf"{message}.*; correct that, and bring it again with: dvc repro -f bring_cl"
    refused(told, load_classifier, out / "classifier.safetensors", CPU)


def test_a_test_set_that_is_sorted_by_class_is_looked_at_all_over():
    labels = np.repeat(np.arange(10), 100)
    for count in (24, 500):
        rows = spread(len(labels), count)
        assert len(rows) == count
        assert set(labels[rows]) == set(range(10))
    assert np.array_equal(spread(len(labels), 5000), np.arange(1000))


PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SECTIONS = {name: PARAMS[name] for name in ("prepare_images", "corrupt_images")}


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
    brought, bring, digits, monkeypatch, mnist_folder, caplog
):
    def measure():
        return (bring(readers.DIGITS_ENTRY, digits, **SECTIONS) / "metrics.json").read_bytes()

    readers.write_digit_reader(brought)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    without = json.loads(measure())
    reason = "the environment variable MNIST_DIR was not set"
    assert (without["mnist_test"], without["mnist_test_reason"]) == (None, reason)
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
    monkeypatch.setenv("MNIST_DIR", str(mnist_folder.parent))
    refused(r"t10k-images-idx3-ubyte: missing, and so is t10k-images-idx3-ubyte\.gz", measure)


def test_of_some_classes_mnists_own_images_of_these_are_measured(write_params, mnist_folder, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist_folder))
    labels = load_mnist_5k(seed=1, test_fraction=0.2)[0].labels[:60]

    def answer(tests, *_):
        return {name: np.eye(2)[test.labels] for name, test in tests.items()}  # always right

    found, _ = measuring._measure_unseen(answer, write_params(SECTIONS), ["2", "7"], 1)
    assert found["mnist_test"]["clean_test_accuracy"]["n"] == np.isin(labels, [2, 7]).sum()
    assert found["mnist_test"]["corrupted_test_accuracy"]["value"] == 1


def test_of_other_images_nothing_is_said(bring, monkeypatch, mnist_folder):
    """On MNIST itself, its test images are the run's."""
    monkeypatch.setenv("MNIST_DIR", str(mnist_folder))
    metrics = json.loads((bring(readers.ENTRY) / "metrics.json").read_bytes())
    assert (metrics["warnings"], {"mnist_test", "mnist_test_reason"} & set(metrics)) == ([], set())
