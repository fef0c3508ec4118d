"""The whole stage on a tiny population, real digits and images with severities; what other stages read of it."""

import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from failure_atlas.attributes.calibration import measure_scatter, measure_spread
from failure_atlas.attributes.registry import GREYS, NAMES
from failure_atlas.core.arrays import ArraySpec, read_array, read_attributes, write_arrays, writing_arrays
from failure_atlas.images.image_set import ImageSet, Severities
from stages.common.artefacts.attributes import DIMENSIONS, read_measured
from stages.common.artefacts.images import named_arrays
from stages.measure_attributes.__main__ import main
from stages.measure_attributes.figures import draw_calibration
from stages.measure_attributes.study import open_images
from tests.refusing import refused
from tests.stages.running import Stage, read_metrics
from tests.strokes import calibrate_closed_form, measure_closed_form

SECTION = {"seed": 1, "check_images": 12, "fdr": 0.05}


@pytest.fixture(scope="module")
def stage(request):
    return Stage(request, main, "measure_attributes", SECTION)


def test_every_image_is_read_as_its_calibration_reads_it(out, tiny_population, tiny_images):
    measured = read_measured(out, np.zeros(200))
    assert measured.names == NAMES[:GREYS]
    calibration = measured.calibration
    assert (calibration.n, calibration.scene.shape_words, measured.meaningful.all()) == (12, "strokes", True)
    for held, path, name in (
        (measured.population, tiny_population / "population.zarr", "images"),
        (measured.images, tiny_images, "test_images"),
    ):
        read = calibration.read(calibration.measure(read_array(path, name)))
        assert held.dtype == np.float32
        np.testing.assert_array_equal(held, read.astype(np.float32))
    assert np.isfinite(measured.images).any()
    assert np.isfinite(measured.spread).all()


def test_tables_hold_what_was_read(out, tiny_population):
    table, errors = pd.read_csv(out / "attributes.csv"), pd.read_csv(out / "errors.csv")
    measured = read_measured(out)
    assert table["attribute"].tolist() == list(measured.names)
    known = np.isfinite(measured.population).all(axis=1)
    np.testing.assert_array_equal(table["n"], known.sum())
    straight = table["attribute"] != "rotation"  # its mean is that of an angle
    means = measured.population[known].mean(axis=0, dtype=float)
    np.testing.assert_allclose(table["mean"][straight], means[straight], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["direction_unit"], measured.spread, rtol=1e-5)
    labels, held = (read_array(tiny_population / "population.zarr", name) for name in ("labels", "images"))
    np.testing.assert_allclose(table["spread"], measure_scatter(measured.population, labels), rtol=1e-4)
    mended = measured.calibration.mend(measured.calibration.measure(held))  # directions are named by these
    np.testing.assert_allclose(table["direction_unit"], measure_spread(mended, labels), rtol=1e-4)
    for row in table.itertuples():
        own = errors[errors["attribute"] == row.attribute]
        assert row.error == pytest.approx(np.sqrt(np.square(own["error"].dropna()).mean()), rel=1e-4)
        assert row.largest_error == pytest.approx(own["error"].max())
        assert row.worst_change in set(own["change"])


def test_metrics_equal_a_recount(out):
    metrics, errors = read_metrics(out), pd.read_csv(out / "errors.csv")
    assert (metrics["shape_words"], metrics["population_images"], metrics["test_images"]) == ("strokes", 200, 50)
    assert metrics["error"].keys() == metrics["largest_error"].keys() == set(NAMES[:GREYS])
    own = errors[errors["attribute"] == "blur"]
    assert metrics["error"]["blur"]["n"] == own["n"].sum()
    assert metrics["largest_error"]["blur"]["value"] == pytest.approx(own["error"].max())
    check = pd.read_csv(out / "figures" / "naming_check.csv")
    right = check.loc[check["expected"] == check["named"], "groups"].sum()
    assert metrics["naming_accuracy"] == pytest.approx(right / check["groups"].sum(), rel=1e-4)
    interval = metrics["naming_accuracy_interval"]
    assert interval["low"] <= metrics["naming_accuracy"] <= interval["high"]
    assert interval["n"] == check["groups"].sum()


def test_the_same_inputs_give_the_same_bytes(out, run, hash_folder):
    first = hash_folder(out)
    assert first == hash_folder(run())
    figures = {f"figures/{name}.{kind}" for name in ("attribute_errors", "calibration", "naming_check")
               for kind in ("png", "csv")}  # fmt: skip
    assert figures | {"attributes.csv", "errors.csv", "metrics.json"} < set(first)


def test_missing_or_foreign_inputs_are_named(refuse, tmp_path, tiny_clean_images):
    digits, names = read_array(tiny_clean_images, "test_images"), read_attributes(tiny_clean_images)

    def write(name, images):
        arrays = named_arrays("test", ImageSet(images, np.arange(len(images)) % 10))
        write_arrays(tmp_path / name, arrays, names)
        return tmp_path / name

    coloured = write("coloured.zarr", np.repeat(digits, 3, axis=1))
    for changes, message in (
        ({"population": tmp_path / "gone"}, r"population\.zarr: missing; make it with: dvc repro sample_populations"),
        ({"clean_images": tmp_path / "gone"}, r"gone: missing; make it with: dvc repro prepare_images"),
        ({"images": tmp_path / "gone"}, r"gone: missing; make it with: dvc repro corrupt_images"),
        ({"images": coloured}, r"coloured\.zarr: images of 3 x 32 x 32, the clean ones are of 1 x 32 x 32; make it ag"),
        ({"clean_images": coloured}, r"population\.zarr: images of 1 x 32 x 32, the clean ones are of 3 x 32 x 32; m"),
        ({"check_images": 13}, r"24 test images; measure_attributes\.check_images: got 13; allowed: at most 12"),
        ({"images": tiny_clean_images}, r"holds no array 'test_blur_severity'"),
        (
            {"clean_images": write("faint.zarr", digits // 36)},
            r"faint\.zarr: cannot be calibrated on: 0 images show a s",
        ),
    ):
        refuse(message, **changes)


def rewrite(folder, told=None, **changed):
    """The store of a result folder with some attributes or arrays changed."""
    path = folder / "attributes.zarr"
    held = read_attributes(path) | (told or {})
    arrays = {name: read_array(path, name) for name in DIMENSIONS} | changed
    shutil.rmtree(path)
    write_arrays(path, {name: (array, DIMENSIONS[name]) for name, array in arrays.items()}, held)


def test_a_store_that_is_not_of_this_form_is_refused(out, tmp_path):
    refused(r"attributes\.zarr: missing; make it with: dvc repro measure_attributes", read_measured, tmp_path)
    again = "make it again with: dvc repro measure_attributes"
    faults = [
        ({"scene": {"shapes": True}}, {}, r"does not tell its scene, names and n \(.*\)"),
        ({"names": ["noise", "edge"]}, {}, "holds the attributes noise, edge; known are noise, blur, .*"),
        ({}, {"spread": np.zeros(3)}, r"array 'spread' is of shape \(3,\), not \(19,\)"),
        ({}, {"images": np.zeros((2, 3))}, r"array 'images' is of shape \(2, 3\), not \(2, 19\)"),
    ]
    for place, (told, changed, message) in enumerate(faults):
        folder = tmp_path / str(place)
        shutil.copytree(out, folder)
        rewrite(folder, told, **changed)
        refused(f"{message}; {again}$", read_measured, folder)
    refused(rf"measures 200 samples, the population has 7; {again}", read_measured, out, np.zeros(7))


def test_a_store_is_read_in_parts(tmp_path, out):
    images = np.random.default_rng(1).integers(0, 256, (2300, 1, 8, 8), np.uint8)
    spec = {"images": ArraySpec(images.shape, images.dtype, ("sample", "channel", "y", "x"))}
    with writing_arrays(tmp_path / "population.zarr", spec) as targets:
        targets["images"][:] = images
    calibration = read_measured(out).calibration
    seen = []
    stored = open_images(tmp_path / "population.zarr", "images", "sample_populations", images)
    found = calibration.measure_all(stored, seen.append)
    np.testing.assert_array_equal(found, calibration.measure(images))
    assert seen == [1000, 1000, 300]


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [(("blur", "noise"), ["noise", "blur"]), (("noise", "fog"), ["noise"]), (("blur",), ["blur"]), (("fog",), [])],
)
def test_levels_of_each_severity_are_drawn_of_what_the_recipe_holds(steps, kinds):
    """Images of severity 0, 1, 2, four each, that need a noise of 0.1 and a blur of 1 px for each level."""
    severity = np.repeat([0, 1, 2], 4).astype(np.uint8)
    values = measure_closed_form(0.1 * severity, 1.0 * severity)
    form = calibrate_closed_form()
    figure, table = draw_calibration(form, values, Severities(dict.fromkeys(steps, severity)))
    plt.close(figure)
    levels = table[table["panel"] == "real corrupted"]
    assert levels["corruption"].tolist() == np.repeat(kinds, 3).tolist()
    expected = [each for kind in kinds for each in {"noise": [0, 0.1, 0.2], "blur": [0, 1, 2]}[kind]]
    np.testing.assert_allclose(levels["value"].astype(float), expected, atol=1e-6)
    assert (levels["n"] == 4).all()
    panel = figure.axes[2]
    assert panel.get_title() == f"read from real corrupted test images\n(n={12 if kinds else 0}, 95 % intervals)"
    nothing = ["corrupted neither by blur\nnor by noise"]
    assert [text.get_text() for text in panel.texts] == ([] if kinds else nothing)
