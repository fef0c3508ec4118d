"""The stage from outside: equal bytes on a second run, what it measures, released judges, and each mistake named."""

import json

import numpy as np
import pytest
import torch

from failure_atlas.classifiers.networks import Classifier
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.images.image_set import to_unit
from failure_atlas.judges.ensemble import Ensemble, load_ensemble, save_ensemble
from failure_atlas.statistics.agreement import draw_halves
from stages.common.artefacts.images import read_images
from stages.common.params import load_section
from stages.train_judges.__main__ import main
from stages.train_judges.ensembles import compare_errors, share_images
from stages.train_judges.params import TrainJudgesParams
from tests.stages.pinning import pin

AUGMENTATION = {"rotation_degrees": 5.0, "scale": 0.05, "shear": 0.05, "shift": 0.01, "interpolation": "nearest"}
SECTION = {
    "seed": 1, "confidence": 0.8, "accuracy_floor": 0.4, "released": None,
    "judge": [{"network": "residual", "width": 8, "seed": 2}, {"network": "plain", "width": 8, "seed": 3}],
    "auditor": [{"network": "plain", "width": 8, "seed": 3}],
    "training_images": 1600, "batch_size": 50, "precision": "float32", "learning_rate": 0.01, "weight_decay": 0.01,
    "augmentation": AUGMENTATION, "disjoint_images": False
}  # fmt: skip


@pytest.fixture
def run(tmp_path, tiny_images, write_params):
    """A function that runs the stage with changed params and returns its folder."""

    def stage(name="out", corrupted=tiny_images, judge=None, **changes):
        params = write_params({"train_judges": SECTION | changes})
        main(images=tiny_images, corrupted=corrupted, out=tmp_path / name, params=params, judge=judge)
        return tmp_path / name

    return stage


def test_twice_gives_equal_bytes_and_the_files_are_what_was_measured(run, hash_folder, tiny_images):
    out = run("one")
    hashes = hash_folder(out)
    assert hashes == hash_folder(run("two"))
    tables = {f"tables/{name}.csv" for name in ("reliability", "confusion", "severities")}
    assert set(hashes) == {"judge.safetensors", "auditor.safetensors", "metrics.json", *tables}

    metrics = json.loads((out / "metrics.json").read_text())
    test = read_images(tiny_images, "test")
    for name, size in (("judge", 2), ("auditor", 1)):
        ensemble = load_ensemble(out / f"{name}.safetensors", torch.device("cpu"))
        assert len(ensemble.members) == size == metrics[name]["members"]
        assert ensemble.temperature == pytest.approx(metrics[name]["temperature"], rel=1e-4)
        assert ensemble.confidence == 0.8
        right = ensemble(to_unit(test.images)).exp().detach().argmax(1).numpy() == test.labels
        found = metrics[name]["accuracy"]
        assert found["value"] == pytest.approx(right.mean())
        assert found["low"] < right.mean() <= found["high"]
        assert found["n"] == 50
        assert metrics[name]["accuracy_on_corrupted"]["n"] == 25
        assert len(metrics[name]["accuracy_per_class"]) == 10
        assert 0 <= metrics[name]["calibration_error"] <= 1
        assert metrics[name]["sure_accuracy"]["n"] == round(metrics[name]["sure_share"]["value"] * 50)
        wrongly_sure = metrics[name]["sure_share"]["value"] * (1 - (metrics[name]["sure_accuracy"]["value"] or 0))
        assert metrics[name]["false_verdict_share"]["value"] == pytest.approx(wrongly_sure, abs=1e-6)
    assert metrics["judge"]["accuracy"]["value"] > 0.5
    gap = metrics["judge"]["accuracy"]["value"] - metrics["auditor"]["accuracy"]["value"]
    assert metrics["accuracy_gap"]["value"] == pytest.approx(gap)
    assert metrics["judge_auditor_phi"]["n"] == 50
    assert metrics["auditor_accuracy"] == metrics["auditor"]["accuracy"]
    assert metrics["auditor_calibration_error"] == metrics["auditor"]["calibration_error"]


def test_errors_of_judge_and_auditor_are_compared():
    random = np.random.default_rng(2)
    labels, said = random.integers(0, 3, 200), random.random((2, 200, 3))
    wrong = said.argmax(axis=2) != labels
    found = compare_errors(dict(zip(("judge", "auditor"), said, strict=True)), labels, random)
    assert found["judge_auditor_phi"]["value"] == pytest.approx(np.corrcoef(*wrong)[0, 1])
    assert found["accuracy_gap"]["value"] == pytest.approx(wrong[1].mean() - wrong[0].mean())
    assert found["accuracy_gap"]["low"] < found["accuracy_gap"]["value"] < found["accuracy_gap"]["high"]


def test_members_of_one_seed_share_nothing_between_judge_and_auditor(run):
    out = run(training_images=50, accuracy_floor=0.0)
    judge, auditor = (load_ensemble(out / f"{name}.safetensors", torch.device("cpu")) for name in ("judge", "auditor"))
    assert judge.members[1].architecture == auditor.members[0].architecture
    pairs = zip(judge.members[1].parameters(), auditor.members[0].parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in pairs)


def test_judge_and_auditor_learn_from_different_images_one_half_of_each_class(run, tiny_images, monkeypatch):
    shown = []
    monkeypatch.setattr("stages.train_judges.ensembles.train", lambda _, part, *__, **___: shown.append(part))
    run(disjoint_images=True, accuracy_floor=0.0)
    judge, _, auditor = shown  # two members and one
    images = read_images(tiny_images, "train").images  # both stores are this one here: corrupted forms come twice
    seen = [{image.tobytes() for image in part.images} for part in (judge, auditor)]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == {image.tobytes() for image in images}
    for part in (judge, auditor):
        _, first = np.unique([image.tobytes() for image in part.images], return_index=True)
        assert (np.bincount(part.labels[first]) == 5).all()


def test_no_track_is_shared_between_judge_and_auditor(tmp_path, write_params):
    section = load_section(
        write_params({"train_judges": SECTION | {"disjoint_images": True}}), TrainJudgesParams, "train_judges"
    )
    tracks = np.random.default_rng(3).permuted(
        np.r_[np.arange(40) // 10, 10 + np.arange(30) // 6, 20 + np.arange(9) // 3]
    )
    labels = np.searchsorted([10, 20], tracks, side="right")
    half = share_images(section, labels, tracks, None)["judge"]
    learned, left = set(tracks[half]), set(tracks[~half])
    assert not learned & left
    assert [len([track for track in learned if track // 10 == label]) for label in range(3)] == [2, 2, 1]
    alone = share_images(section, labels, np.arange(79), None)  # as where nothing is known of tracks
    drawn = draw_halves(labels, 1, numpy_stream(1, "images of judge and auditor"))[0]
    np.testing.assert_array_equal(alone["judge"], drawn)
    np.testing.assert_array_equal(alone["auditor"], ~drawn)


def test_an_auditor_is_trained_for_a_judge_that_is_there(run, tiny_images, monkeypatch):
    made = run("made")
    judge = made / "judge.safetensors"
    out = run(judge=judge, disjoint_images=True, auditor=[{"network": "pooled", "width": 8, "seed": 9}])
    assert (out / "judge.safetensors").read_bytes() == judge.read_bytes()
    auditor = load_ensemble(out / "auditor.safetensors", torch.device("cpu"))
    assert [member.architecture["network"] for member in auditor.members] == ["pooled"]
    metrics = [json.loads((each / "metrics.json").read_text()) for each in (made, out)]
    assert metrics[0]["judge"] == metrics[1]["judge"]
    pins = {name: pin(made / f"{name}.safetensors") for name in ("judge", "auditor")}
    with pytest.raises(StageError, match=r"--judge: train_judges\.released is taken over whole; set it to null"):
        run(judge=judge, released=[pins])


def test_released_judges_are_taken_over_and_calibrated_on_the_images_at_hand(run, tmp_path):
    made = run("made")
    trained = load_ensemble(made / "judge.safetensors", torch.device("cpu"))
    trained.temperature, trained.confidence = 3.0, 0.6
    save_ensemble(tmp_path / "judge.safetensors", trained)
    pinned = {"judge": pin(tmp_path / "judge.safetensors"), "auditor": pin(made / "auditor.safetensors")}
    strange = tmp_path / "strange.safetensors"
    save_ensemble(strange, Ensemble(trained.members, [f"garment {label}" for label in range(10)]))
    others = {"judge": pin(strange), "auditor": pin(strange)}
    out = run(released=[others, pinned], training_images=1)
    assert (out / "judge.safetensors").read_bytes() == (made / "judge.safetensors").read_bytes()
    assert (out / "metrics.json").read_bytes() == (made / "metrics.json").read_bytes()


def test_judges_that_know_other_images_of_the_same_names_stop_the_run(run, tmp_path):
    """Names match, images do not: in `strange` the classes stand in another order."""
    made = run("made")
    strange = load_ensemble(made / "auditor.safetensors", torch.device("cpu"))
    for member in strange.members:
        member.head.weight.data, member.head.bias.data = (each.data.roll(1, 0) for each in member.head.parameters())
    save_ensemble(tmp_path / "strange.safetensors", strange)
    pins = {name: pin(made / f"{name}.safetensors") for name in ("judge", "auditor")}
    told = r"accuracy_floor: got 0\.4, of 10 classes an accuracy of 0\.460 \(.*: 0\.100\), but the {} is right on "
    told += r"0\.0.* of 50 real test images; .*released: null.*train_stylegan2\.resume: null .*total_kimg"
    for name in pins:
        with pytest.raises(StageError, match=told.format(name)):
            run(released=[pins | {name: pin(tmp_path / "strange.safetensors")}])
        assert not (tmp_path / "out").exists()
    run(released=[pins | {"judge": pin(tmp_path / "strange.safetensors")}], accuracy_floor=0.0)


def test_judges_that_learned_nothing_here_are_told_to_learn_longer(run):
    with pytest.raises(
        StageError, match=r"the judge .* and the auditor is right on .*; train longer \(train_judges\.train"
    ):
        run(training_images=50)


def test_a_missing_store_is_named(run, tmp_path):
    with pytest.raises(StageError, match=r"missing; make it with: dvc repro corrupt_images"):
        run(corrupted=tmp_path / "no.zarr")


def test_a_released_file_that_is_altered_or_of_other_classes_is_named(run, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        member = Classifier("plain", classes=2, width=8)
    path = tmp_path / "two.safetensors"
    save_ensemble(path, Ensemble([member], ["cat", "dog"]))
    pinned = {"judge": pin(path), "auditor": pin(path)}
    with pytest.raises(StageError, match=r"released: knows cat, dog; the images show 0, 1, .*released: null"):
        run(released=[pinned, pinned])
    coloured = Classifier("plain", classes=10, width=8, channels=3)
    save_ensemble(tmp_path / "colour.safetensors", Ensemble([coloured], [str(label) for label in range(10)]))
    of_colour = pin(tmp_path / "colour.safetensors")
    with pytest.raises(StageError, match=r"released\.0: sees .* of 3 channels; the data's have 1; .*released: null"):
        run(released=[{"judge": of_colour, "auditor": of_colour}])
    wrong = pin(path) | {"sha256": "0" * 64}
    with pytest.raises(
        StageError, match=rf"two\.safetensors: expected SHA-256 {'0' * 64}, found {pinned['judge']['sha256']}"
    ):
        run(released=[pinned | {"judge": wrong}])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence": 0.5}, r"train_judges\.confidence: got 0\.5; allowed: greater than 0\.5"),
        ({"accuracy_floor": 1.0}, r"train_judges\.accuracy_floor: got 1\.0; allowed: less than 1"),
        ({"auditor": [{"network": "plain", "width": 9, "seed": 1}]}, r"train_judges\.auditor.*width: got 9"),
        ({"released": [{"judge": None}]}, r"train_judges\.released\.0"),
    ],
)
def test_wrong_params_are_named(run, changes, message):
    with pytest.raises(StageError, match=message):
        run(**changes)


def test_a_diverging_member_is_named(run, tmp_path, monkeypatch):
    def spoil(classifier, _):
        torch.nn.init.constant_(classifier.head.weight, float("nan"))

    monkeypatch.setattr("failure_atlas.classifiers.training.initialise", spoil)
    with pytest.raises(StageError, match=r"train_judges\.judge\[0\]: .*learning_rate.*it is 0\.01"):
        run()
    assert not (tmp_path / "out" / "judge.safetensors").exists()
