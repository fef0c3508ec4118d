"""The whole stage on a generator with random weights; its trainings are watched, and its tables are counted again."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.classifiers.evaluation import predict
from failure_atlas.classifiers.networks import load_classifier
from failure_atlas.core.arrays import write_arrays
from failure_atlas.modes.mode import Mode
from failure_atlas.repair.gains import cross_mean, find_detectable
from failure_atlas.stylegan2.generator import Generator, GeneratorArchitecture, save_generator
from stages.common.artefacts.attributes import read_measured, write_measured
from stages.common.artefacts.images import named_arrays, read_images
from stages.repair_classifier import trainings
from stages.repair_classifier.__main__ import main
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "trainings": 2, "choice_trainings": 1, "pool": 200, "copies": 1, "least_probability": 0.5,
    "added_shares": [0.25, 0.5], "failure_shares": [0.1], "outside": ["contrast", "jpeg_compression"],
    "outside_severities": [1, 3], "plants": 2, "plant_share": 0.4, "batch_size": 100,
}  # fmt: skip
SHOWN = 320  # images in each training
ARM, PLAIN, GENERATED = ["mixture", "generator", "added", "failures"], "plain", "generated"
PARTS = {
    "more of the same": "more", "generated and real of modes": "more/modes", "generated and failures": "failures",
    "generated and failures by mode": "modes",
}  # fmt: skip


def write_modes(folder, modes, names=()):
    folder.mkdir(exist_ok=True)
    told = [{"sentence": "fails", "definition": each.define(names, [*"0123456789"])} for each in modes]
    pd.DataFrame(told, columns=["sentence", "definition"]).to_csv(folder / "modes.csv", index=False)
    return folder


def write_recipe(path, **changes):
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name in ("clean", "corrupted"):
        recipe["train_classifiers"][name] |= {"width": 8, "training_images": SHOWN, "batch_size": 32}
    path.write_text(yaml.safe_dump(recipe | {key: recipe[key] | held for key, held in changes.items()}))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_attributes, tiny_images):
    """Two modes, of which the first has half of all real images; what images look like, and test images."""
    measured, folder = read_measured(tiny_attributes), tmp_path_factory.mktemp("repair_classifier")
    place = measured.names.index("x")
    modes = [Mode(None, {place: (float(np.median(measured.images[:, place])), None)}), Mode(3)]
    write_modes(folder, modes, measured.names)
    return SimpleNamespace(folder=folder, measured=measured, modes=modes, test=read_images(tiny_images, "test"))


@pytest.fixture(scope="module")
def stage(request, world, tiny_generator, robust_judge, tiny_judge, tiny_images, tiny_attributes):
    return Stage(
        request, main, "repair_classifier", SECTION, name="corrupted", modes=world.folder, auditor=tiny_judge,
        generator=[f"{name}={tiny_generator}" for name in "ab"], judge=[f"{name}={robust_judge}" for name in "ab"],
        corrupted=tiny_images, test_images=tiny_images, test_corrupted=tiny_images, test_attributes=tiny_attributes,
        recipe=write_recipe(world.folder / "recipe.yaml"),
    )  # fmt: skip


def watch(patch, stop=None):
    """Note of each training in this process what it is mixed of, what it learns, and its network; stop before one."""
    seen, mix, train = [], trainings.mix, trainings.train

    def note(mixture, sources, *rest):
        if len(seen) == stop:
            raise KeyboardInterrupt
        seen.append(SimpleNamespace(mixture=mixture, sources=sources, learned=mix(mixture, sources, *rest)))
        return seen[-1].learned

    def note_network(network, *rest, **options):
        seen[-1].network = network
        train(network, *rest, **options)

    patch.setattr(trainings, "mix", note)
    patch.setattr(trainings, "train", note_network)
    patch.setattr(trainings, "count_cores", lambda: 1)
    return seen


@pytest.fixture(scope="module")
def done(stage, tmp_path_factory):
    """A run in this process, its tables, and its trainings: those of the choice, of arms, and with faults."""
    with pytest.MonkeyPatch.context() as patch:
        seen, out = watch(patch), stage.run(tmp_path_factory.mktemp("stage") / "out")
    tables = {path.stem: pd.read_csv(path).fillna({"generator": ""}) for path in out.glob("*.csv")}
    arms = tables["mixtures"].query("test == 'clean'")[ARM]
    parts = np.split(np.array(seen, object), np.cumsum([len(tables["choice"]), 2 * len(arms)]))
    return SimpleNamespace(out=out, seen=seen, parts=parts, arms=arms, metrics=read_metrics(out), **tables)


def test_killed_and_in_other_processes_gives_equal_bytes_and_trains_nothing_twice(
    stage, done, tmp_path, monkeypatch, hash_folder
):
    cores = iter([2] + [1] * 9)  # the first trainings are those of two other processes
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, stop=9)
        patch.setattr(trainings, "count_cores", lambda: next(cores))
        with pytest.raises(KeyboardInterrupt):
            stage.run(tmp_path / "out")
    kept, rest = len(list((tmp_path / "out" / "unfinished").iterdir())), watch(monkeypatch)
    assert hash_folder(stage.run(tmp_path / "out")) == hash_folder(done.out)
    assert kept >= 9
    assert [each.mixture for each in rest] == [each.mixture for each in done.seen[kept:]]
    files = ["choice.csv", "classifier.safetensors", "figures", "metrics.json", "mixtures.csv", "modes.csv"]
    assert sorted(path.name for path in done.out.iterdir()) == [*files, "plants.csv"]


def test_all_learn_equally_many_images_in_the_shares_that_read_most_held_out_images(done):
    assert {len(each.learned.labels) for each in done.seen} == {SHOWN}
    rows = pd.concat([done.choice, done.arms.loc[done.arms.index.repeat(2)]]).to_dict("records")
    for row, trained in zip(rows, [*done.parts[0], *done.parts[1]], strict=True):
        shares = {}
        for name, share in trained.mixture:
            kind, _, of = (name, "", "") if name.startswith("more") else name.partition("/")
            assert of.split("/")[0] in ("", row["generator"])
            shares[kind] = shares.get(kind, 0) + share
        special = row["failures"] if row["generator"] else row["added"]
        wanted = {"real": 1 - row["added"], PARTS.get(row["mixture"]): special, GENERATED: row["added"] - special}
        assert shares == pytest.approx({name: share for name, share in wanted.items() if share})
    best = done.choice.loc[done.choice.groupby(["mixture", "generator"], sort=False)["accuracy"].idxmax()]
    assert best.index.tolist() == done.choice.index[done.choice["chosen"]].tolist()
    assert [(PLAIN, "", 0, 0), *best[ARM].itertuples(index=False)] == [*done.arms.itertuples(index=False)]


def test_failures_are_misread_and_lie_in_their_modes(done, world, tiny_classifier):
    network, calibration = load_classifier(tiny_classifier, torch.device("cpu")), world.measured.calibration
    sources = {name: each for name, each in done.seen[0].sources.items() if name.startswith(("failures", "modes"))}
    assert sources.keys() >= {"failures/a", "failures/b", "modes/a/0", "modes/b/0"}
    for name, part in sources.items():
        looks = calibration.read(calibration.measure(part.images))
        assert (predict(network, part.images).argmax(axis=1) != part.labels).all()
        assert world.modes[name.endswith("/1")].covers(looks, part.labels).all() == name.startswith("modes")


def told(row, key):
    return [row[f"{key}{end}"] for end in ("", "_low", "_high")]


def count(values):
    expected = cross_mean(100 * values)
    return pytest.approx([expected.value, expected.low, expected.high], rel=1e-5)


def test_tables_and_metrics_are_counted_again_from_the_networks(done, world):
    images, labels = world.test.images, world.test.labels
    read = np.reshape([predict(each.network, images).argmax(axis=1) for each in done.parts[1]], (-1, 2, len(labels)))
    right = dict(zip(done.arms.itertuples(index=False, name=None), 1.0 * (read == labels), strict=True))
    table, (plain, more, *_) = done.mixtures.query("test == 'recipe'").set_index(ARM), right.values()
    for arm, own in right.items():
        assert told(table.loc[arm], "accuracy") == count(own)
        controls = {PLAIN: plain, "more": more, GENERATED: right.get((GENERATED, *arm[1:3], 0.0), own)}
        for name, other in controls.items():
            assert other is own or told(table.loc[arm], f"over_{name}") == count(own - other)
    for name, held in ((name, done.metrics[name]) for name in "ba"):
        tried = done.choice.query("chosen and failures > 0 and generator == @name")
        arm = tuple(done.choice.loc[tried["accuracy"].idxmax(), ARM])
        assert arm == (held["mixture"], name, held["added"], held["failures"])
        gained, interval = right[arm] - right[GENERATED, name, arm[2], 0], held["gain_over_generated_interval"]
        assert [held["gain_over_generated"], interval["low"], interval["high"]] == count(gained)
        assert held["detectable_gain"] == pytest.approx(100 * find_detectable(gained), rel=1e-5)
        changes = done.modes.query("generator == @name and images == 'real'")
        for mode, row in zip(world.modes, changes.to_dict("records"), strict=True):
            inside = mode.covers(world.measured.images, labels)
            before, after = (1 - each[:, inside] for each in (plain, right[arm]))
            for key, values in {"before": before, "after": after, "change": after - before}.items():
                assert told(row, key) == count(values)
            sure = row["n"] >= 6 and row["change_low"] * row["change_high"] > 0
            assert row["verdict"] == (("worse" if row["change"] > 0 else "repaired") if sure else "not decided")
        assert held["real_modes_repaired"] == (changes["verdict"] == "repaired").sum()
    kept = load_classifier(done.out / "classifier.safetensors", torch.device("cpu"))
    np.testing.assert_array_equal(predict(kept, images).argmax(axis=1) == labels, right[arm][0])
    took, kinds = done.plants[done.plants["took"]], ("repaired", "generated_repaired", "others_worse")
    assert done.metrics["plants"] == {"planted": 2, "took": len(took), **{kind: took[kind].sum() for kind in kinds}}


def test_a_fault_is_in_what_is_learned(done, world, tiny_images):
    real, calibration = read_images(tiny_images, "train"), world.measured.calibration
    looks = calibration.read(calibration.measure(real.images))
    assert done.plants["kind"].tolist() == ["relabelled", "withheld"]
    for row, part in zip(done.plants.to_dict("records"), [each.learned for each in done.parts[2][:2]], strict=True):
        learned = {image.tobytes(): each for image, each in zip(part.images, part.labels, strict=True)}
        now, label = np.array([learned.get(each.tobytes(), -1) for each in real.images]), int(row["cell"][0])
        gone = now != real.labels
        assert set(now[gone]) == {-1 if row["kind"] == "withheld" else int(row["as_class"])}
        assert set(real.labels[gone]) == {label}
        assert 2 <= gone.sum() <= 6, "two fifths of ten"
        inside, rest = looks[gone], looks[(real.labels == label) & ~gone]
        assert np.any((inside.min(axis=0) > rest.max(axis=0)) | (inside.max(axis=0) < rest.min(axis=0)))


def test_without_a_mode_and_from_clean_images_it_is_repaired_with_all_failures(stage, tmp_path, monkeypatch):
    seen, changes = watch(monkeypatch), {"plants": 1, "added_shares": [0.5], "failure_shares": [0.5]}
    out = stage.run(tmp_path / "out", name="clean", modes=write_modes(tmp_path, []), **changes)
    mixtures, modes, plants = (pd.read_csv(out / f"{name}.csv") for name in ("mixtures", "modes", "plants"))
    assert {*mixtures["mixture"]} == {PLAIN, "more of the same", GENERATED, "generated and failures"}
    assert (len(modes), read_metrics(out)["b"]["real_modes"], plants["modes"].tolist()) == (0, 0, [0])
    assert len(seen) == 5 + 2 * 6 + 2, "without a mode both repairs of a fault are one training"


def test_what_does_not_fit_is_named(refuse, stage, world, tmp_path):
    write_arrays(tmp_path / "xyz", named_arrays("test", world.test), {"class_names": list("xyz")})
    write_measured(tmp_path / "fewer", replace(world.measured, images=world.measured.images[:-1]))
    save_generator(tmp_path / "three", Generator(GeneratorArchitecture(8, 8, 3, 1, (8, 8, 8, 4), 1, "bilinear")))
    three = [f"{name}={tmp_path / 'three'}" for name in "ab"]
    slope = write_modes(tmp_path / "slope", [Mode(None, {0: (1.0, None)})], ["slope"])
    holes = write_recipe(tmp_path / "holes.yaml", find_modes={"attributes": ["holes"]})
    mnist = write_recipe(tmp_path / "mnist.yaml", corrupt_images={"table": "mnist-c"})
    for message, changes in (
        (r"--judge: got b; allowed: one for each of a, b, in order$", {"judge": stage.inputs["judge"][1:]}),
        ("missing; make it with: dvc repro corrupt_images$", {"corrupted": tmp_path / "gone"}),
        ("--test-images: shows the classes x, y, z; --images shows 0, 1, ", {"test_images": tmp_path / "xyz"}),
        ("fewer: measures 49 test images, .* has 50; make it again", {"test_attributes": tmp_path / "fewer"}),
        (r"three: makes images of 3 classes and .*; --images has 10", {"generator": three}),
        (r"modes\.csv: definition: there is no attribute slope; make it again with: .* find_modes$", {"modes": slope}),
        ("none of 200 images of a is misread where its judge gives 0.999999 to", {"least_probability": 0.999999}),
        (r"plant_share: got 0\.4; allowed: a share .* that a bound on holes parts$", {"recipe": holes}),
        ("outside: table imagenet-c or .* with saturate", {"recipe": mnist, "outside": ["saturate"]}),
        ("outside: saturate needs images of 3 channels", {"outside": ["saturate"]}),
        (r"outside: got gaussian_blur; allowed: .* not of the recipe \(gaus", {"outside": ["fog", "gaussian_blur"]}),
        (r"failure_shares: got \[0\.3\]; allowed: each at most the smallest of added", {"failure_shares": [0.3]}),
        (r"added_shares: got \[0\.5, 0\.5\]; allowed: each share once", {"added_shares": [0.5, 0.5]}),
    ):  # fmt: skip
        refuse(message, **changes)
