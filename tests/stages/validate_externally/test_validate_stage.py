"""The stage on six tiny classifiers."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from stages.validate_externally.__main__ import main
from stages.validate_externally.measures import MEASURES
from tests.stages.running import demanding_noise

SECTION = {
    "seed": 1, "samples": 120, "shift_samples": 40, "shift_dimensions": 5, "max_shift_std": 2.0, "shift_step_std": 1.0,
    "distance_dimensions": 10, "bins": 4, "tail_quantile": 0.99, "real_images": 30, "replicates": 100, "bar": 0.9,
    "strong": 0.9, "batch_size": 60,
}  # fmt: skip
RECIPE = {
    "seed": 1, "clean_fraction": 0.5, "recipe": ["gaussian_blur", "gaussian_noise"], "table": "imagenet-c",
    "severities": [1, 3],
}  # fmt: skip


@pytest.fixture
def run(tmp_path, tiny_generator, tiny_population, tiny_images, tiny_judge, graded_classifiers, write_params):
    def start(name, judge=None, classifier=None, trained="", population=tiny_population, images=tiny_images, **changes):
        sections = {"validate_externally": SECTION | changes, "corrupt_images": RECIPE}
        params = write_params(sections | {"train_classifiers": {key: {} for key in trained}})
        given = classifier if classifier is not None else [f"{key}={path}" for key, path in graded_classifiers.items()]
        pattern = str(tmp_path / "trained/{name}/classifier.safetensors") if trained else None
        asked = images, judge or tiny_judge, given
        with demanding_noise():
            main(tiny_generator, population, *asked, tmp_path / name, pattern, params, params)
        return json.loads((tmp_path / name / "metrics.json").read_text())

    return start


def test_every_number_twice_and_whatever_the_batch_size(run, tmp_path, hash_folder, graded_classifiers):
    metrics = run("one")
    for key in "cdef":
        (tmp_path / "trained" / key).mkdir(parents=True)
        shutil.copyfile(graded_classifiers[key], tmp_path / "trained" / key / "classifier.safetensors")
    assert run("two", classifier=[f"{key}={graded_classifiers[key]}" for key in "ab"], trained="cdef") == metrics
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert metrics["classifiers"] == metrics["external_validity"]["n"] == 6
    assert metrics["real_images"] == 30
    assert set(metrics["ranking_top10_overlap"]) == set("abcdef")
    assert metrics["verdict"] in ("holds", "fails", "not decided")

    estimates = pd.read_csv(tmp_path / "one" / "external_validity.csv")
    conditions = 1 + 2 + 2 + 4
    assert len(estimates) == 6 * (len(MEASURES) + conditions + 2)
    assert (estimates["low"] <= estimates["value"] + 1e-6).all()
    assert (estimates["high"] >= estimates["value"] - 1e-6).all()
    wide = estimates.pivot_table(index="classifier", columns="measure", values="value")
    assert wide.loc["a", "population accuracy"] > wide.loc["f", "population accuracy"] + 0.2  # graded as they were made
    averages = [f"blur {blur} noise {noise}" for blur in (1, 3) for noise in (1, 3)]
    np.testing.assert_allclose(wide["recipe"], 0.5 * wide["clean"] + 0.5 * wide[averages].mean(axis=1), atol=1e-5)

    correlations = pd.read_csv(tmp_path / "one" / "correlations.csv")
    assert len(correlations) == 2 * len(MEASURES) * (conditions + 2)
    chosen = correlations.query("coefficient == 'spearman' and measure == 'shift area' and condition == 'clean'")
    expected = wide["shift area"].rank().corr(wide["clean"].rank())
    assert chosen["value"].item() == pytest.approx(expected, abs=1e-5, nan_ok=True)
    for name in ("external_validity", "correlations"):
        assert (tmp_path / "one" / "figures" / f"{name}.png").stat().st_size > 1000
        assert (tmp_path / "one" / "figures" / f"{name}.csv").is_file()

    # Another batch size changes rounding only, and a classifier less leaves the others alone.
    fewer = [f"{key}={path}" for key, path in graded_classifiers.items() if key != "c"]
    run("other", classifier=fewer, batch_size=1000)
    other = pd.read_csv(tmp_path / "other" / "external_validity.csv")
    same = estimates[estimates["classifier"] != "c"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same[["classifier", "measure", "n"]], other[["classifier", "measure", "n"]])
    np.testing.assert_allclose(same["value"], other["value"], atol=0.03)


def test_what_does_not_fit_is_named(run, tmp_path, tiny_classifier):
    a, b = f"a={tiny_classifier}", f"b={tiny_classifier}"
    for given, message in (
        ({"samples": 201}, r"validate_externally\.samples: got 201; allowed: at most the 200 samples of the pop"),
        ({"samples": 39, "shift_samples": 9}, r"validate_externally\.samples: got 39; allowed: at least 40, 4 of each"),
        ({"shift_dimensions": 81}, r"shift_dimensions: got 81; allowed: at most the 80 style dimensions of the gen"),
        ({"distance_dimensions": 99}, r"distance_dimensions: got 99; allowed: at most the 80 style dimensions of the"),
        ({"classifier": [a, b]}, r"--classifier: got 2 of them; allowed: at least 5"),
        ({"trained": "a"}, r"--classifier: 'a' is given by --trained, too; name each classifier once"),
        ({"classifier": [a, a]}, r"--classifier: 'a' is given twice"),
        ({"judge": tiny_classifier}, r"holds a classifier, needed: a ensemble"),
        ({"images": tmp_path / "images.zarr"}, r"images\.zarr: missing; make it with: dvc repro prepare_images"),
    ):
        with pytest.raises(StageError, match=message):
            run("out", **given)
    assert not (tmp_path / "out").exists()
