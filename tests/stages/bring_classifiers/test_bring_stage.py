"""The stage from outside: equal bytes on a second run, and the file is the classifier that was brought."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.core.arrays import read_array
from failure_atlas.core.errors import StageError
from failure_atlas.core.weights import load_tensors, save_tensors
from failure_atlas.images.image_set import to_unit
from failure_atlas.walks.true_failures import weigh_failures
from failure_atlas.world.show import CLASSIFIER, JUDGE, World
from stages.bring_classifiers.__main__ import main as bring_classifiers
from stages.bring_classifiers.checks import spread
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.rank_dimensions.__main__ import main as rank_dimensions
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.stages.bring_classifiers.readers import ENTRY, SOURCE, bar_weights, write_brought

CPU = torch.device("cpu")


def make_reader(source: str, size: int = 32, **options: float) -> torch.nn.Module:
    """The module of some code; options: of `bar_weights`."""
    names: dict[str, type[torch.nn.Module]] = {}
    exec(source, names)  # noqa: S102 - the module that was brought
    reader = names["Reader"](size=size).eval()
    reader.load_state_dict(bar_weights(size=size, **options))
    return reader


def test_twice_gives_equal_bytes_and_the_file_is_the_classifier(brought, bring, tiny_images, hash_folder):
    entry = ENTRY | {"arguments": {"size": 28}, "input": {"size_px": 28, "mean": [0.1], "std": [0.3]}}
    write_brought(brought, mean=0.1, std=0.3, size=28)
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
    logits = make_reader(SOURCE, mean=0.1, std=0.3, size=28)(shown)
    assert torch.allclose(classifier(to_unit(test.images)), logits, atol=1e-4)

    metrics = json.loads(Path("data/bring_classifiers/mine/metrics.json").read_text(encoding="utf-8"))
    accuracy = (logits.argmax(1).numpy() == test.labels).mean()
    assert accuracy > 0.9
    for name in ("clean", "corrupted"):
        measured = metrics[f"{name}_test_accuracy"]
        assert (measured["value"], measured["n"]) == (pytest.approx(accuracy), 50)
        assert len(metrics[f"{name}_test_accuracy_per_class"]) == 10
    assert metrics["corrupted_half_test_accuracy"]["n"] == 25
    assert metrics["parameters"] == 10 * 20 * 28 + 2
    assert (metrics["form"], metrics["differentiable"], metrics["warnings"]) == ("load", True, [])
    tried = pd.read_csv("data/bring_classifiers/mine/tables/usual_mistakes.csv").set_index("change")
    assert (tried["n"] == np.where(tried.index == "class order", 25, 50)).all()
    assert tried.loc["polarity", "accuracy_after"] < 0.3 < tried.loc["polarity", "accuracy_before"]


def test_weights_of_each_form_are_the_same_and_a_module_may_read_its_own(brought, keep):
    weights, path = bar_weights(), (brought / "weights.pt").resolve()
    load = f"\n\ndef build():\n    net = Reader()\n    net.load_state_dict(torch.load({str(path)!r}))\n    return net\n"
    (brought / "bars.py").write_text(SOURCE + load, encoding="utf-8")
    save_file(weights, brought / "weights.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": each for name, each in weights.items()}},
        brought / "checkpoint.pth",
    )
    for change in ({}, {"weights": "weights.safetensors"}, {"weights": "checkpoint.pth"}, {"load": "bars:build"}):
        entry = {name: each for name, each in (ENTRY | change).items() if "build" not in str(change) or name == "load"}
        again = load_classifier(keep(entry), CPU)
        for name, tensor in weights.items():
            assert torch.equal(again.network.state_dict()[name], tensor)


def test_two_that_have_modules_of_one_name_do_not_meet_and_load_from_any_folder(brought, keep, tmp_path, monkeypatch):
    other = SOURCE.replace("return -self", "return -2 * self")
    (brought / "helper.py").write_text("FACTOR = 1\n", encoding="utf-8")
    write_brought(Path("data/brought/other"), other)
    paths = [keep(ENTRY).resolve(), keep(ENTRY, "other").resolve()]
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
    with pytest.raises(StageError, match=r"images of shape \(1, 32, 32\), these have \(1, 28, 28\); bring it again"):
        one(torch.rand(2, 1, 28, 28))


def test_downstream_an_answer_that_is_no_number_stops_the_stage_and_names_the_classifier(
    brought, keep, tiny_generator, tiny_population, tmp_path
):
    """It is finite on most images and NaN on those generated ones whose first pixel is dark."""
    dark = np.quantile(read_array(tiny_population / "population.zarr", "images")[:, 0, 0, 0] / 255, 0.1)
    edge = f"(x[:, 0, 0, :1] - {dark}).log()"
    (brought / "bars.py").write_text(SOURCE.replace("** 2\n", f"** 2 + 0 * {edge}\n"), encoding="utf-8")
    section = {"seed": 1, "batch_size": 100, "split_halves": 4, "top_k": 2, "histogram_bins": 10}
    Path("params.yaml").write_text(yaml.safe_dump({"rank_dimensions": section}), encoding="utf-8")
    with pytest.raises(StageError, match=r"^bring_classifiers\.mine: its answer to \d+ of 100 images is not finite"):
        rank_dimensions(tiny_generator, keep(ENTRY), tiny_population, tmp_path / "ranking")
    assert not (tmp_path / "ranking").exists()


def test_downstream_only_what_was_brought_is_loaded(brought, keep):
    out, held = keep(ENTRY), (brought / "weights.pt").read_bytes()
    tensors, description = load_tensors(out, "brought classifier")

    def refused(message: str) -> None:
        with pytest.raises(StageError, match=message):
            load_classifier(out, CPU)

    restore = "; restore .*dvc repro bring_classifiers@mine"
    (brought / "bars.py").write_text(SOURCE + "\n", encoding="utf-8")
    refused(rf"^data/brought/mine/bars\.py: expected SHA-256 [0-9a-f]{{64}}, found SHA-256 [0-9a-f]{{64}}{restore}")
    (brought / "bars.py").write_text(SOURCE, encoding="utf-8")
    (brought / "torch_patch.py").write_text("", encoding="utf-8")
    refused(rf"^data/brought/mine/torch_patch\.py: expected no such file, found SHA-256 [0-9a-f]{{64}}{restore}")
    (brought / "torch_patch.py").unlink()
    (brought / "weights.pt").unlink()
    refused(rf"^data/brought/mine/weights\.pt: expected SHA-256 [0-9a-f]{{64}}, found no such file{restore}")
    (brought / "weights.pt").write_bytes(held)
    save_tensors(out, tensors, description | {"entry": {"load": 3}})
    refused("holds no classifier that this version can read .*; bring it again with")
    tensors.pop("level")
    save_tensors(out, tensors, description)
    refused(r"its weights do not fit what bring_classifiers\.mine now makes")


@pytest.mark.parametrize("batch", [None, 1, 8])
def test_an_onnx_file_gives_the_same_answers_and_its_gradient(brought, bring, tiny_images, batch):
    reader = make_reader(SOURCE.replace(".flatten(1)", ".view(x.size(0), -1)"))
    images = to_unit(read_images(tiny_images, "test").images)
    free = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}} if batch is None else {}
    torch.onnx.export(reader, (images[: batch or 2],), brought / "bars.onnx", dynamo=False, **free)
    classifier = load_classifier(bring({"onnx": "bars.onnx"}) / "classifier.safetensors", CPU)
    shown, again = images.clone().requires_grad_(True), images.clone().requires_grad_(True)
    assert torch.allclose(classifier(shown), reader(again), atol=1e-5)
    gradients = [torch.autograd.grad(net(x)[:, 3].sum(), x)[0] for net, x in ((classifier, shown), (reader, again))]
    assert torch.allclose(*gradients, atol=1e-5)
    assert gradients[0].abs().sum() > 0


def test_a_network_with_the_commonest_flatten_goes_through_the_generator_and_is_asked_nothing(
    brought, bring, tiny_images, tiny_generator
):
    """`x.view` fails for no images, which walks ask about where no answer is wrong, and for channels-last tensors."""
    (brought / "bars.py").write_text(SOURCE.replace(".flatten(1)", ".view(x.size(0), -1)"), encoding="utf-8")
    generator, classifier = load_networks(tiny_generator, bring(ENTRY) / "classifier.safetensors", CPU)
    styles = torch.ones(4, generator.style_dimensions, requires_grad=True)
    images = generator.synthesize(styles).contiguous(memory_format=torch.channels_last)
    assert torch.autograd.grad(classifier(images).sum(), styles)[0].abs().sum() > 0
    test = read_images(tiny_images, "test")
    shown = to_unit(test.images)
    assert classifier(shown[:0]).shape == (0, 10)
    networks = {
        CLASSIFIER: classifier.network,  # bare, without its adapter
        JUDGE: lambda images: torch.full((len(images), 10), 0.1).div(len(images)),
    }
    world = World(lambda styles: shown[: len(styles)], networks, 16, classes=10)
    right = classifier(shown).argmax(1).numpy()
    assert not weigh_failures(world, np.zeros((16, 4), np.float32), right[:16]).any()


@pytest.mark.parametrize(
    ("change", "message"), [({"weights": "no.pt"}, "no file"), ({"load": "fails:Net"}, "fails .ValueError: no")]
)
def test_an_entry_that_is_not_under_test_stops_nothing(brought, tiny_images, change, message, hash_folder):
    (brought / "fails.py").write_text("raise ValueError('no')", encoding="utf-8")
    out, params = Path("data/bring_classifiers/mine"), {"bring_classifiers": {"mine": ENTRY | change}}

    def run(**classifiers: str) -> None:
        Path("params.yaml").write_text(yaml.safe_dump(params | {"classifiers": classifiers}), encoding="utf-8")
        bring_classifiers("mine", brought, tiny_images, tiny_images, out)

    with pytest.raises(StageError, match=message):
        run(mine="bring_classifiers")
    assert not out.exists()
    run(clean="train_classifiers")
    hashes = hash_folder(out)
    assert set(hashes) == {"classifier.safetensors", "tables/refused.csv", "metrics.json"}
    assert message.split()[0] in json.loads((out / "metrics.json").read_text(encoding="utf-8"))["refused"]
    run(clean="train_classifiers")
    assert hash_folder(out) == hashes
    with pytest.raises(StageError, match=rf"{message}.*; correct that, and bring it again with: dvc repro -f bring_cl"):
        load_classifier(out / "classifier.safetensors", CPU)


def test_a_test_set_that_is_sorted_by_class_is_looked_at_all_over():
    labels = np.repeat(np.arange(10), 100)
    for count in (24, 500):
        rows = spread(len(labels), count)
        assert len(rows) == count
        assert set(labels[rows]) == set(range(10))
    assert np.array_equal(spread(len(labels), 5000), np.arange(1000))
