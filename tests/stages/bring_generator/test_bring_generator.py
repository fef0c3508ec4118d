"""The stage on small files of generators: what it leaves, a second run, what later stages read, and mistakes."""

import numpy as np
import pytest
import torch

from failure_atlas.brought_generators import proof
from failure_atlas.core.weights import read_description
from failure_atlas.stylegan2.generator import load_generator
from stages.bring_generator.__main__ import main
from stages.judge_failures.inputs import load_critic, measure_realism
from tests import yaml12 as yaml
from tests.failure_atlas.brought_generators.generator_files import build_ada, random_tensors, write_pickle
from tests.refusing import refused
from tests.stages.pinning import pin
from tests.stages.running import read_metrics

NAMES = [str(label) for label in range(10)]


@pytest.fixture
def bring(tmp_path, tiny_images):
    """A function that brings a network of random weights; changes: of the entry, or of the network."""

    def bring(out="out", changed=None, **options):
        size_px, options = options.pop("size_px", 32), {"classes": 10, "colours": 1} | options
        file = tmp_path / "network.pkl"
        if out != "again":  # which brings the same file once more: storages bear other names at each writing
            write_pickle(file, build_ada(random_tensors(size_px, 4, **options), 256))
        entry = {"file": file.name, "sha256": pin(file)["sha256"]} | (changed or {})
        params = tmp_path / "params.yaml"
        params.write_text(yaml.safe_dump({"bring_generator": {"mine": entry}}), encoding="utf-8")
        main("mine", tmp_path, tiny_images, tmp_path / out, params)
        return tmp_path / out

    return bring


def test_twice_gives_equal_bytes_and_the_proof_is_told(bring, hash_folder):
    out = bring()
    assert hash_folder(bring("again")) == hash_folder(out)
    assert sorted(hash_folder(out)) == [
        *("generator.safetensors", "metrics.json", "snapshot.safetensors", "training_log.csv")
    ]
    metrics = read_metrics(out)
    assert (metrics["conditional"], metrics["size_px"], metrics["clamp"], metrics["truncation"]) == (True, 32, 256, 1)
    assert 0 < metrics["proof"]["largest_image_difference"] < 1e-5
    assert metrics["proof"]["idle_layers"] == []
    source = read_description(out / "generator.safetensors")["source"]
    assert source["sha256"] == metrics["sha256"] == pin(out.parent / "network.pkl")["sha256"]


def test_classes_come_in_the_order_of_the_data(bring):
    z, label = torch.randn(1, 8), torch.tensor([2])
    own, turned = (
        load_generator(bring(changed=changed) / "generator.safetensors", torch.device("cpu"))
        for changed in ({}, {"class_order": NAMES[::-1]})
    )
    torch.testing.assert_close(turned.map_latents(z, label), own.map_latents(z, 9 - label))
    assert not torch.equal(turned.map_latents(z, label), own.map_latents(z, label))


def test_truncation_moves_styles_towards_those_of_the_average(bring):
    whole, half = (
        load_generator(bring(changed={"truncation": psi}) / "generator.safetensors", torch.device("cpu"))
        for psi in (1.0, 0.5)
    )
    average = random_tensors(32, 4, classes=10, colours=1)["mapping.w_avg"][None]
    w = torch.randn(1, 8)
    torch.testing.assert_close(half.map_styles(w), whole.map_styles(average + (w - average) / 2))


def test_a_brought_generator_has_no_discriminator(bring):
    out = bring()
    painter = load_generator(out / "generator.safetensors", torch.device("cpu"))
    assert load_critic(out / "snapshot.safetensors", painter, torch.device("cpu")) is None
    deviation, realism = measure_realism(None, np.zeros((3, 1, 32, 32), np.uint8), np.zeros(3, np.int64), 2)
    assert np.isnan(deviation)
    assert np.isnan(realism).tolist() == [True] * 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"changed": {"sha256": "0" * 64}}, r"network\.pkl: expected SHA-256 0+, found [0-9a-f]{64}; restore the file"),
        ({"classes": 3}, r"bring_generator\.mine: .* holds a generator of 3 classes, not 10; the images show 10 cl"),
        ({"size_px": 16}, r"makes images of 1 channels and 16 px, the data's have 1 and 32; set prepare_images\.chan"),
        ({"colours": 3}, r"makes images of 3 channels and 32 px, the data's have 1 and 32"),
        ({"changed": {"class_order": ["0", "1"]}}, r"class_order: got 0, 1; allowed: each of the data's classes once"),
        ({"classes": 0, "changed": {"class_order": NAMES}}, r"class_order: .* knows no classes; leave it out"),
        ({"changed": {"truncation": 0.0}}, r"bring_generator\.mine\.truncation: got 0\.0; allowed: greater than 0"),
        ({"changed": {"file": "../network.pkl"}}, r"bring_generator\.mine\.file: got '\.\./network\.pkl'"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(bring, tmp_path, options, told):
    refused(told, bring, **options)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_named(tmp_path, tiny_images, bring):
    bring()
    told = r"bring_generator\.mine\.file: no file .*gone/network\.pkl; put the generator's file there"
    refused(told, main, "mine", tmp_path / "gone", tiny_images, tmp_path / "none", tmp_path / "params.yaml")


def test_a_conversion_that_is_not_proven_stops(bring, monkeypatch, tmp_path):
    monkeypatch.setattr(proof, "TAPS", (1.0, 2.0, 2.0, 1.0))
    refused(r"holds images from w off by", bring)
    assert not (tmp_path / "out").exists()
