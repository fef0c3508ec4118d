"""The whole stage on tiny networks, whose answers are asked again, and what other stages read of it."""

import shutil
from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.core.arrays import read_array
from failure_atlas.corruptions.registry import choose_steps
from failure_atlas.inversion.invert import Inverted
from failure_atlas.judges.ensemble import load_ensemble
from failure_atlas.stylegan2.generator import Generator, load_generator
from stages.common.artefacts.images import read_images
from stages.common.artefacts.inverted import RealImages, read_inverted
from stages.common.image_params import CorruptImagesParams
from stages.invert_images.selection import draw_real
from tests.refusing import refused
from tests.stages.invert_images.inverting import CORRUPTION, CPU, NAMES, prepare, write_images, write_recipe
from tests.stages.running import read_metrics

UNDER_TEST, SEVERITIES = ("one", "two"), ["blur_severity", "noise_severity"]


@pytest.fixture(scope="module")
def stage(request, tmp_path_factory):
    return prepare(request, tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def generator(tiny_generator):
    return load_generator(tiny_generator, CPU)


@pytest.fixture(scope="module")
def ask(stage):
    """A function: the class that each network sees in images [N, C, H, W] in [0, 1]."""
    networks = {name: load_classifier(stage.inputs["classifiers"].replace("{name}", name), CPU) for name in UNDER_TEST}
    networks |= {name: load_ensemble(stage.inputs[name], CPU) for name in ("judge", "auditor")}
    return torch.no_grad()(lambda images: {name: each(images).argmax(1).numpy() for name, each in networks.items()})


def read_table(out):
    return pd.read_csv(out / "images.csv", dtype={"class": str})


def read_store(out, *names):
    return [read_array(out / "inverted.zarr", name) for name in names]


def to_unit(images):
    return torch.from_numpy(images).float() / 255


def test_twice_gives_equal_bytes_and_the_batch_size_changes_rounding(run, out, hash_folder):
    first, other = hash_folder(out), run("other", batch_size=23)
    assert first == hash_folder(run())
    figures = {f"figures/{name}.{end}" for name in ("reconstructions", "errors") for end in ("png", "csv")}
    assert {"images.csv", "severities.csv", "metrics.json"} | figures == {name for name in first if "zarr" not in name}
    for name, tolerance in (("images", 0), ("noise", 0), ("w", 1e-3), ("offset", 1e-3), ("s", 1e-3)):
        (whole,), (part,) = read_store(out, name), read_store(other, name)
        np.testing.assert_allclose(part, whole, rtol=tolerance, atol=tolerance, err_msg=name)


def test_images_and_errors_are_those_of_the_draws(stage, out, ask):
    clean, section = read_images(stage.inputs["images"], "test"), CorruptImagesParams(**CORRUPTION)
    real = draw_real(clean, choose_steps(section.recipe, section.table), section, 1, 2)
    table, metrics, (images, labels) = read_table(out), read_metrics(out), read_store(out, "images", "labels")
    draw, index, sample = (table[name].to_numpy() for name in ("draw", "index", "sample"))
    np.testing.assert_array_equal(images, real.images[draw, index])
    np.testing.assert_array_equal(table[SEVERITIES], real.severities[draw, :, index])
    np.testing.assert_array_equal(labels, real.labels[index])
    assert table["class"].tolist() == [NAMES[label] for label in labels]
    assert sample.sum() == 50
    assert set(draw) == {0, 1}, "else this tests too little"
    said = [ask(to_unit(each)) for each in real.images]
    for name in UNDER_TEST:
        wrong = np.array([each[name] != real.labels for each in said])
        case, failed = table[f"{name}_case"], wrong[draw, index]
        assert failed[case].all()
        assert case[sample & failed].all()
        assert metrics["cases"][name] == case.sum() == max(35, (sample & failed).sum())
        assert metrics["error_rates"][name] == {"images": 160, "value": pytest.approx(wrong.mean(), rel=1e-5)}


def test_what_is_seen_is_asked_again_and_shares_are_recounted(out, ask, generator):
    table, metrics, severities = read_table(out), read_metrics(out), pd.read_csv(out / "severities.csv")
    images, made, labels, styles, noise = read_store(out, "images", "reconstructions", "labels", "s", "noise")
    with torch.no_grad():
        again = generator.synthesize(torch.from_numpy(styles), noise)
    assert np.abs((255 * again.numpy()).round() - made).max() <= 1, "one grey level of rounding"
    assert len(set(noise)) == len(noise)
    sample, clean = table["sample"], (table[SEVERITIES] == 0).all(axis=1)
    before, after = ask(to_unit(images)), ask(again)
    for name in ("judge", "auditor", *UNDER_TEST):
        real, fresh = table[f"{name}_real"], table[f"{name}_fresh_noise"]
        np.testing.assert_array_equal(real, before[name])
        np.testing.assert_array_equal(table[f"{name}_reconstruction"], after[name])
        assert (fresh == real)[clean].all(), "there is no noise"
        for held, kept in ((metrics, before[name] == after[name]), (metrics["under_fresh_noise"], fresh == real)):
            assert held[f"{name}_kept_share"]["value"] == pytest.approx(kept[sample].mean())
            if name in UNDER_TEST:
                share = pytest.approx(kept[table[f"{name}_case"]].mean(), rel=1e-5)
                assert held[f"{name}_wrong_kept_share"]["value"] == share
        told = metrics["accuracy"][name]["reconstruction"]
        assert (told["value"], told["n"]) == (pytest.approx((after[name] == labels)[sample].mean()), 50)
    assert (table["auditor_kept"] == (before["auditor"] == after["auditor"])).all()
    assert (table["auditor_fresh_noise"] != table["auditor_real"]).any()
    rmse = np.sqrt(((made / 255 - images / 255) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(table["rmse"], rmse, rtol=1e-5)
    assert metrics["rmse"] == pytest.approx(rmse[sample].mean(), rel=1e-5)
    groups = [sample, sample & clean, *(sample & (table[key] == level) for key in SEVERITIES for level in (1, 2))]
    assert severities["n"].tolist() == [own.sum() for own in groups]
    np.testing.assert_allclose(severities["rmse"], [rmse[own].mean() for own in groups], rtol=1e-4)


def test_far_out_is_farther_from_the_real_images_but_its_own_than_they_are_from_each_other(stage, tmp_path):
    recipe, whole, fifth = write_recipe(tmp_path / "recipe.yaml", clean_fraction=0.0, severities=[3]), copy(stage), []
    whole.params = stage.params | {"images": 80, "errors": 0, "draws": 1, "steps": 1, "style_steps": 0}
    out = whole.run(tmp_path / "out", recipe=recipe)
    table, (images, made, offset) = read_table(out), read_store(out, "images", "reconstructions", "offset")
    auditor = load_ensemble(stage.inputs["auditor"], CPU)
    with torch.no_grad():
        known, shown = (auditor.features(to_unit(each)).double().numpy() for each in (images, made))
    for apart in (cdist(known, known), cdist(shown, known)):  # all 80, in the order of the table
        apart[np.diag_indices(80)] = np.inf
        fifth.append(np.sort(apart, axis=1)[:, 4])
    assert 0 < table["far_out"].sum() < 20
    np.testing.assert_array_equal(table["far_out"], fifth[1] >= fifth[0].max())  # 1 % of 80 is none
    np.testing.assert_array_equal(table["usable"], table["inside"] & ~table["far_out"])
    assert not offset.any()


def test_inputs_that_do_not_fit_are_named(refuse, tmp_path, tiny_population):
    letters, place = write_images(tmp_path / "letters.zarr", tiny_population, list("abcdefghij")), tmp_path / "r.yaml"
    refuse(r"classifiers\.judge: metrics\.json keeps it for a judge; gi", recipe=write_recipe(place, ["judge"]))
    refuse(r"classifiers\.auditor: metrics\.json keeps it", recipe=write_recipe(place, ["one", "auditor"]))
    refuse(r"absent\.safetensors: no such weights file", recipe=write_recipe(place, ["one", "absent"]))
    refuse(r"images\.zarr: .*saturate needs images of 3 chan", recipe=write_recipe(place, recipe=["saturate"]))
    refuse(r"letters\.zarr: shows the classes a, b, .*; the population has 0, 1, ", images=letters)
    refuse(r"none: missing; make it with: dvc repro prepare_images", images=tmp_path / "none")
    refuse(r"none: missing; make it with: dvc repro train_judges", auditor=tmp_path / "none")
    refuse(r"invert_images\.inside_share: got 0\.5; allowed: greater than 0\.5", inside_share=0.5)


def test_the_reader_leaves_out_what_is_not_usable_and_refuses_what_another_generator_made(out, generator, tmp_path):
    folder, stored = (
        shutil.copytree(out, tmp_path / "edited"),
        ("images", "reconstructions", "labels", "w", "offset", "s"),
    )
    table = read_table(folder).assign(usable=lambda rows: rows.index % 3 > 0)
    table.to_csv(folder / "images.csv", index=False)
    real, rows = read_inverted(folder, generator, NAMES), np.flatnonzero(table["usable"])
    held = (real.images, real.reconstructions, real.true_class, *vars(real.found).values())
    for mine, whole in zip(held, read_store(out, *stored, "noise", "length_std"), strict=True):
        np.testing.assert_array_equal(mine, whole[rows])
    assert real.table["index"].tolist() == table["index"][rows].tolist()
    other = Generator(replace(generator.architecture, channels=(8, 8, 8, 8)))
    again = r"inverted\.zarr: 80 style dimensions, classes 0, 1, .*; make it again with: dvc repro invert_images"
    refused(again, read_inverted, out, other, NAMES)
    refused(again, read_inverted, out, generator, list("abcdefghij"))
    table[1:].to_csv(folder / "images.csv", index=False)
    refused(again, read_inverted, folder, generator, NAMES)


def test_classes_take_turns_among_the_good_ones_of_the_sample():
    true_class = np.array([2, 2, 0, 0, 0, 1, 2, 1])
    good, sample = np.arange(8) != 3, np.arange(8) != 7
    found = Inverted(*[np.arange(8)] * 5)
    real = RealImages(found.w, found.w, true_class, found, pd.DataFrame({"sample": sample, "row": range(8)}))
    for count, rows in ((4, [2, 5, 0, 4]), (100, [2, 5, 0, 4, 1, 6])):
        taken = real.take_turns(good, count)
        assert taken.images.tolist() == taken.found.noise.tolist() == taken.table["row"].tolist() == rows
        assert taken.true_class.tolist() == true_class[rows].tolist()
