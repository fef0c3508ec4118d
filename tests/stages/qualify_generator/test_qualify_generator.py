"""The stage on a tiny generator and judge: its results, batch sizes, a second run, and mistakes."""

import shutil

import numpy as np
import pandas as pd
import pytest

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.arrays import write_arrays
from failure_atlas.images.image_set import ImageSet, Severities
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from stages.common.artefacts.images import named_arrays, named_severities, read_images
from stages.qualify_generator.__main__ import main
from stages.qualify_generator.figures import choose_examples
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "samples": 40, "repeats": 3, "neighbours": 3, "batch_size": 25,
    "frechet_ratio_ceiling": None
}  # fmt: skip

LOG = """kimg,discriminator_loss,generator_loss,real_logit,fake_logit,real_sign,augmentation_probability
1.0,1.2,0.9,0.1,-0.1,0.2,0.0
2.0,1.1,0.8,0.2,-0.2,0.3,0.1
"""


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory, tiny_judge):
    folder = tmp_path_factory.mktemp("log")
    log, unseen = folder / "training_log.csv", [folder / "auditor.safetensors", folder / "stranger.safetensors"]
    log.write_text(LOG, encoding="utf-8")
    shutil.copyfile(tiny_judge, unseen[0])
    save_ensemble(unseen[1], Ensemble([Classifier("plain", classes=10, width=8, channels=3)], list("0123456789")))
    return Stage(request, main, "qualify_generator", SECTION, training_log=log, unseen=unseen)


def test_twice_gives_equal_bytes_and_every_key(run, out, hash_folder):
    metrics = read_metrics(out)
    assert hash_folder(out) == hash_folder(run(frechet_ratio_ceiling=1e6))
    for key in (
        "frechet_distance", "frechet_floor", "frechet_ratio", "precision", "recall", "precision_real", "recall_real",
        "label_consistency", "judge_accuracy_real", "label_gap", "neutral_kid", "neutral_kid_real",
        "unseen_precision", "unseen_precision_real", "unseen_recall", "unseen_recall_real"
    ):  # fmt: skip
        assert isinstance(metrics[key], float), key
        assert set(metrics[f"{key}_interval"]) == {"low", "high", "n"}, key
    assert (metrics["frechet_samples"], metrics["frechet_train_subsets"]) == (40, 2)
    assert metrics["frechet_ratio"] == pytest.approx(metrics["frechet_distance"] / metrics["frechet_floor"], rel=1e-4)
    gap = metrics["judge_accuracy_real"] - metrics["label_consistency"]
    assert metrics["label_gap"] == pytest.approx(gap, abs=1e-5)
    counts = [metrics[f"{key}_interval"]["n"] for key in ("label_consistency", "judge_accuracy_real")]
    assert (counts, metrics["label_consistency_per_class"]["7"]["n"]) == ([3 * 40, 50], 12)
    severities = [f"{kind}_{severity}" for kind in ("blur", "noise") for severity in ("none", 1, 2, 3)]
    assert set(metrics["severity_shares"]) == set(severities)
    for source in ("real", "generated"):
        shares = [share[source]["value"] for kind, share in metrics["severity_shares"].items() if "blur" in kind]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    gaps, widest = metrics["label_gap_per_class"], metrics["label_gap_widest_class"]
    assert (metrics["copies_share"]["n"], gaps["7"]["n"]) == (40, 5)
    assert widest in gaps.values()
    assert all(abs(gap["value"]) <= abs(widest["value"]) for gap in gaps.values())

    assert set(metrics["grey_of_kind"]) == {"clean", "corrupted"}
    assert (metrics["black_share_gap"]["n"], metrics["clean_reading_accuracy"]["n"]) == (40, 40)
    drawn = pd.read_csv(out / "figures" / "grey_values.csv")
    assert (len(drawn), set(drawn["source"])) == (2 * 3 * 18, {"generated", "test", "training"})
    black = drawn.query("kind == 'clean' and source == 'test' and grey == '0'").iloc[0]
    assert black["share"] == pytest.approx(metrics["grey_of_kind"]["clean"]["black_share_real"]["value"], abs=1e-5)

    assert list(metrics["unseen"]) == ["auditor"], "the other one was made for colour"
    assert (metrics["unseen"]["auditor"]["recall"]["value"], metrics["neutral_frechet_ratio"]) == (
        metrics["recall"],
        None,
    )
    kernels = metrics["kid_of_extractor"]
    assert kernels["auditor"] == kernels["judge"] != kernels["neutral"]
    assert kernels["neutral"]["generated"] == {"value": metrics["neutral_kid"], **metrics["neutral_kid_interval"]}
    assert metrics["neutral_kid_interval"]["low"] > metrics["neutral_kid_real_interval"]["high"], "random weights"
    assert len(pd.read_csv(out / "figures" / "extractors.csv")) == 3 * 2

    table = pd.read_csv(out / "figures" / "fig2_real_above_generated.csv")
    assert table.groupby("source").size().to_dict() == {"real": 40, "generated": 40}
    assert (table["class"] == table["column"]).all()
    bars = pd.read_csv(out / "figures" / "label_consistency.csv")
    assert set(bars["class"]) == {*"0123456789", "all"}
    assert len(pd.read_csv(out / "figures" / "nearest_training_images.csv")) == 16
    assert len(pd.read_csv(out / "figures" / "severities.csv")) == 2 * 8
    sheet = pd.read_csv(out / "figures" / "sample_sheet.csv")
    assert (sheet["class"].tolist(), set(sheet["kimg"])) == (list(range(10)), {2.0})
    assert pd.read_csv(out / "figures" / "training_log.csv")["kimg"].tolist() == [1, 2]


def test_a_generator_of_other_images_stops_the_run(refuse, out):
    ratio = read_metrics(out)["frechet_ratio"]
    assert ratio > 2
    told = rf"ceiling: got {ratio - 1:g}, but .* lie {ratio:.0f} times .*resume: null and a .*total_kimg"
    refuse(told, frechet_ratio_ceiling=ratio - 1)


def test_batch_size_changes_nothing_beyond_rounding(run, out):
    one, other = read_metrics(out), read_metrics(run(batch_size=7))
    for key in (
        "frechet_distance", "frechet_floor", "precision", "recall", "label_consistency",
        "neutral_kid", "black_share_gap", "grey_total_variation", "noise_correlation_whole_real"
    ):  # fmt: skip
        assert one[key] == pytest.approx(other[key], rel=1e-3), key


def test_examples_stand_in_columns_of_one_class():
    assert choose_examples(np.array([1, 0, 0, 1, 2, 0, 2, 1, 2]), 3, rows=2).tolist() == [1, 0, 4, 2, 3, 6]
    assert choose_examples(np.array([0, 1, 1]), 2, rows=4).tolist() == [0, 1]


def test_severities_of_one_kind_tell_nothing_apart(run, tmp_path, tiny_images):
    arrays = {}
    for split in ("train", "test"):
        part = read_images(tiny_images, split)
        none = np.zeros(len(part.labels), np.uint8)
        arrays |= named_arrays(split, part) | named_severities(split, Severities({"blur": none, "noise": none}))
    write_arrays(tmp_path / "images.zarr", arrays, {"class_names": list("0123456789")})
    metrics = read_metrics(run(images=tmp_path / "images.zarr"))
    assert metrics["severity_shares"] == {}
    assert metrics["severity_share_gap"]["value"] is None, "the page says that it is not known"
    assert set(metrics["grey_of_kind"]) == {"all"}
    assert not (tmp_path / "out" / "figures" / "severities.png").exists()


def test_inputs_that_do_not_fit_are_refused(refuse, tmp_path, tiny_images):
    refuse(r"qualify_generator\.neighbours: got 60; allowed: fewer than the 40 images", neighbours=60)
    judge, images = tmp_path / "judge.safetensors", tmp_path / "images.zarr"
    refuse(r"images\.zarr: missing; make it with: dvc repro corrupt_images", images=images)
    refuse(r"judge\.safetensors: no such weights file", judge=judge)
    refuse(r"--unseen .*judge\.safetensors: another extractor is called judge, too; give .* name", unseen=[judge])
    save_ensemble(judge, Ensemble([Classifier("plain", classes=3, width=8)], ["a", "b", "c"]))
    refuse(r"judge\.safetensors: knows 3 classes, the images have 10", judge=judge)
    train, test = (read_images(tiny_images, split) for split in ("train", "test"))
    test = ImageSet(test.images[test.labels != 3], test.labels[test.labels != 3])
    arrays = named_arrays("train", train) | named_arrays("test", test)
    write_arrays(images, arrays, {"class_names": list("0123456789")})
    refuse(r"samples: got 40, which .* leaves 0 of class 3", images=images)
