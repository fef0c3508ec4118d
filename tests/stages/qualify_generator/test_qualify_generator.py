"""The stage on a tiny generator and judge: its results, batch sizes, a second run, and mistakes."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from failure_atlas.classifiers.networks import Classifier, load_classifier
from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import Severities
from failure_atlas.judges.ensemble import Ensemble, load_ensemble, save_ensemble
from failure_atlas.stylegan2.generator import load_generator
from stages.common.artefacts.images import named_severities, read_images
from stages.qualify_generator.__main__ import main
from stages.qualify_generator.convention import measure_conventional_distance
from stages.qualify_generator.features import generate_images, judge_images, show_images
from stages.qualify_generator.figures import choose_examples
from stages.qualify_generator.inception import Inception
from tests.stages.pinning import pin

CPU = torch.device("cpu")
SECTION = {
    "seed": 1, "samples": 40, "repeats": 3, "neighbours": 3, "batch_size": 25, "inception_weights": None,
    "inception_samples": 10, "frechet_ratio_ceiling": None,
}  # fmt: skip


@pytest.fixture
def run(tmp_path, tiny_generator, tiny_judge, tiny_images, write_params):
    def start(name, judge=tiny_judge, images=tiny_images, **changes):
        params = write_params({"qualify_generator": SECTION | changes})
        main(tiny_generator, judge, images, tmp_path / name, params)
        return json.loads((tmp_path / name / "metrics.json").read_text())

    return start


def test_twice_gives_equal_bytes_and_every_key(run, tmp_path, hash_folder):
    metrics = run("one")
    assert run("two") == metrics
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    for key in (
        "frechet_distance", "frechet_floor", "frechet_ratio", "precision", "recall", "precision_real", "recall_real",
        "label_consistency", "judge_accuracy_real", "label_gap",
    ):  # fmt: skip
        assert isinstance(metrics[key], float), key
        assert set(metrics[f"{key}_interval"]) == {"low", "high", "n"}, key
    assert metrics["frechet_samples"] == 40
    assert metrics["frechet_train_subsets"] == 2
    assert metrics["frechet_ratio"] == pytest.approx(metrics["frechet_distance"] / metrics["frechet_floor"], rel=1e-4)
    assert metrics["label_gap"] == pytest.approx(
        metrics["judge_accuracy_real"] - metrics["label_consistency"], abs=1e-5
    )
    assert metrics["label_consistency_interval"]["n"] == 3 * 40
    assert metrics["judge_accuracy_real_interval"]["n"] == 50
    assert metrics["label_consistency_per_class"]["7"]["n"] == 12
    assert "inception" not in metrics
    assert set(metrics["severity_shares"]) == {
        *(f"{corruption}_{severity}" for corruption in ("blur", "noise") for severity in ("none", 1, 2, 3))
    }
    for source in ("real", "generated"):
        shares = [share[source]["value"] for kind, share in metrics["severity_shares"].items() if "blur" in kind]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert metrics["copies_share"]["n"] == 40
    gaps = metrics["label_gap_per_class"]
    assert gaps["7"]["n"] == 5
    assert metrics["label_gap_widest_class"] in gaps.values()
    assert all(abs(gap["value"]) <= abs(metrics["label_gap_widest_class"]["value"]) for gap in gaps.values())

    table = pd.read_csv(tmp_path / "one" / "figures" / "fig2_real_above_generated.csv")
    assert table.groupby("source").size().to_dict() == {"real": 40, "generated": 40}
    assert (table["class"] == table["column"]).all()
    bars = pd.read_csv(tmp_path / "one" / "figures" / "label_consistency.csv")
    assert set(bars["class"]) == {*"0123456789", "all"}
    assert len(pd.read_csv(tmp_path / "one" / "figures" / "nearest_training_images.csv")) == 16
    assert len(pd.read_csv(tmp_path / "one" / "figures" / "severities.csv")) == 2 * 8


def test_a_generator_of_other_images_stops_the_run(run, tmp_path):
    ratio = run("one", frechet_ratio_ceiling=1e6)["frechet_ratio"]
    assert ratio > 2
    with pytest.raises(
        StageError, match=rf"ceiling: got {ratio - 1:g}, but .* lie {ratio:.0f} times .*resume: null and a .*total_kimg"
    ):
        run("out", frechet_ratio_ceiling=ratio - 1)
    assert not (tmp_path / "out").exists()


def test_batch_size_changes_nothing_beyond_rounding(run):
    one, other = run("one", batch_size=7), run("other", batch_size=1000)
    for key in ("frechet_distance", "frechet_floor", "precision", "recall", "label_consistency"):
        assert one[key] == pytest.approx(other[key], rel=1e-3), key


def test_features_and_verdict_are_those_of_the_judge(tiny_judge, tiny_images):
    judge, images = load_ensemble(tiny_judge, CPU), read_images(tiny_images, "test").images
    judged = judge_images(judge, show_images(images, 20, CPU))
    unit = torch.from_numpy(images).float() / 255
    np.testing.assert_allclose(judged.features, judge.features(unit), rtol=1e-4, atol=1e-5)
    assert judged.predicted.tolist() == judge(unit).argmax(1).tolist()


def test_generated_images_have_the_conditioning_label(tiny_generator):
    generator = load_generator(tiny_generator, CPU)
    z = np.zeros((4, generator.z_dim), np.float32)
    images = torch.cat(list(generate_images(generator, z, np.array([0, 1, 0, 1]), 3)))
    torch.testing.assert_close(images[0], images[2])
    assert not torch.allclose(images[0], images[1])


def test_examples_stand_in_columns_of_one_class():
    assert choose_examples(np.array([1, 0, 0, 1, 2, 0, 2, 1, 2]), 3, rows=2).tolist() == [1, 0, 4, 2, 3, 6]
    assert choose_examples(np.array([0, 1, 1]), 2, rows=4).tolist() == [0, 1]


def test_distance_by_the_convention_of_the_literature(tiny_generator, tiny_classifier, tiny_images):
    generator, judge = load_generator(tiny_generator, CPU), load_classifier(tiny_classifier, CPU)
    real = read_images(tiny_images, "train")
    told = []
    one, two = (
        measure_conventional_distance(
            judge.features, generator, real, 60, numpy_stream(1, "test"), batch_size=size, advance=told.append
        )
        for size in (25, 100)
    )
    assert one["frechet_distance"] > 0
    assert one["frechet_distance"] == pytest.approx(two["frechet_distance"], rel=1e-3)
    assert (one["generated_images"], one["real_images"], sum(told)) == (60, 100, 2 * 160)


def test_missing_inception_weights_stop_before_any_work(run, tmp_path):
    with pytest.raises(StageError, match=r"qualify_generator\.inception_weights\.path: no file .*absent\.pth"):
        run("out", inception_weights={"path": str(tmp_path / "absent.pth"), "sha256": "0" * 64})
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_inception_weights_of_the_user_are_a_second_extractor(run, tmp_path, tiny_images):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        save_file(Inception().state_dict(), tmp_path / "weights.safetensors")
    arrays = {}
    for split in ("train", "test"):
        part = read_images(tiny_images, split)
        arrays[f"{split}_images"] = (part.images[:20], ("sample", "channel", "y", "x"))
        arrays[f"{split}_labels"] = (part.labels[:20], ("sample",))
        none = np.zeros(20, np.uint8)
        arrays |= named_severities(split, Severities({"blur": none, "noise": none}))
    write_arrays(tmp_path / "images.zarr", arrays, {"class_names": list("0123456789")})
    weights = tmp_path / "weights.safetensors"
    metrics = run("out", images=tmp_path / "images.zarr", inception_weights=pin(weights))
    assert metrics["inception"]["generated_images"] == 10
    assert metrics["inception"]["real_images"] == 20
    assert metrics["inception"]["frechet_distance"] > 0
    assert "severity_shares" not in metrics  # all of one severity: nothing to tell apart


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, r"qualify_generator\.samples: got 0; allowed: greater than or equal to 10"),
        ({"repeats": 1}, r"qualify_generator\.repeats: got 1; allowed: greater than or equal to 2"),
        ({"neighbours": 60}, r"qualify_generator\.neighbours: got 60; allowed: fewer than the 40 images"),
        ({"inception": True}, r"qualify_generator\.inception: unknown key; allowed here: seed, samples"),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(run, tmp_path, changes, message):
    with pytest.raises(StageError, match=message):
        run("out", **changes)
    assert not (tmp_path / "out").exists()


def test_judge_of_another_data_set(run, tmp_path):
    few = Ensemble([Classifier("plain", classes=3, width=8)], ["a", "b", "c"])
    save_ensemble(tmp_path / "judge.safetensors", few)
    with pytest.raises(StageError, match=r"judge\.safetensors: knows 3 classes, the images have 10"):
        run("out", judge=tmp_path / "judge.safetensors")


def test_class_without_test_images(run, tmp_path, tiny_images):
    arrays = {}
    for split in ("train", "test"):
        part = read_images(tiny_images, split)
        kept = part.labels != 3 if split == "test" else np.ones(len(part.labels), bool)
        arrays[f"{split}_images"] = (part.images[kept], ("sample", "channel", "y", "x"))
        arrays[f"{split}_labels"] = (part.labels[kept], ("sample",))
    write_arrays(tmp_path / "images.zarr", arrays, {"class_names": list("0123456789")})
    with pytest.raises(StageError, match=r"samples: got 40, which .* leaves 0 of class 3"):
        run("out", images=tmp_path / "images.zarr")


def test_missing_inputs_are_named_with_the_stage_that_makes_them(run, tmp_path):
    with pytest.raises(StageError, match=r"images\.zarr: missing; make it with: dvc repro corrupt_images"):
        run("out", images=tmp_path / "images.zarr")
    with pytest.raises(StageError, match=r"judge\.safetensors: no such weights file"):
        run("out", judge=tmp_path / "judge.safetensors")
