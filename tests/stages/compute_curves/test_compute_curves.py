"""The stage on tiny networks."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from failure_atlas.classifiers.networks import Classifier, load_classifier
from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.curves.shift import draw_sets, read_order
from failure_atlas.images.image_set import ImageSet
from failure_atlas.judges.ensemble import Ensemble, save_ensemble
from stages.common.artefacts.images import named_arrays
from stages.compute_curves.__main__ import main
from stages.compute_curves.figures import tell_p_value
from tests import yaml12 as yaml
from tests.stages.running import demanding_noise

SECTION = {
    "seed": 1, "top_k": [3, 10, "all"], "headline_k": 10, "bins": 4, "tail_quantile": 0.99, "shift_samples": 40,
    "shift_dimensions": 5, "max_shift_std": 2.0, "shift_step_std": 1.0, "random_draws": 4,
    "bootstrap_replicates": 100, "batch_size": 50,
}  # fmt: skip
COLUMNS = [
    "classifier", "kind", "scope", "dimensions", "k", "scaling", "centre", "point", "x", "accuracy", "low", "high", "n",
    "ceiling", "ceiling_low", "ceiling_high", "band_low", "band_high",
]  # fmt: skip


@pytest.fixture(scope="module")
def judges(tmp_path_factory, tiny_classifier):
    """Ensembles of one: the classifier itself, one that sees class 0 in every image, one of other classes; no file."""
    folder, names = tmp_path_factory.mktemp("judges"), list("0123456789")
    blind = Classifier("residual", classes=10, width=8)
    with torch.no_grad():
        blind.head.weight.zero_()
        blind.head.bias.copy_(torch.arange(10) == 0)
    for name, member, class_names in (
        ("same", load_classifier(tiny_classifier, torch.device("cpu")), names),
        ("blind", blind, names),
        ("strange", Classifier("plain", classes=3, width=8), ["zero", "one", "two"]),
    ):
        save_ensemble(folder / f"{name}.safetensors", Ensemble([member], class_names))
    return {name: folder / f"{name}.safetensors" for name in ("same", "blind", "strange", "absent")}


def make_curves(folder, out, generator, population, judge, results, **changes):
    """results: name -> (result of rank_dimensions, weights)."""
    names = {"classifiers": dict.fromkeys(results, "train_classifiers"), "train_classifiers": dict.fromkeys(results)}
    params = folder / "params.yaml"
    for name, (ranked, classifier) in results.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "ranked").symlink_to(ranked)
        (folder / name / "trained").symlink_to(classifier.parent)  # what was brought lies beside its file
    params.write_text(yaml.safe_dump(names | {"compute_curves": SECTION | changes}), encoding="utf-8")
    weights, ranked = (f"{folder}/{{name}}/{each}" for each in ("trained/classifier.safetensors", "ranked"))
    with demanding_noise():
        main(generator, weights, population, ranked, judge, write_real(folder), out, params)


def write_real(folder):
    """Images of noise, as corrupt_images leaves real ones."""
    images = np.random.default_rng(1).integers(0, 256, (30, 1, 32, 32), np.uint8)
    write_arrays(folder / "images.zarr", named_arrays("test", ImageSet(images, np.arange(30) % 10)))
    return folder / "images.zarr"


@pytest.fixture
def run(tmp_path, tiny_generator, tiny_classifier, tiny_population, tiny_ranking, judges):
    def start(name, *, results=None, judge="same", **changes):
        results = results or {"one": (tiny_ranking, tiny_classifier)}
        out = tmp_path / name
        make_curves(tmp_path / f"{name}_in", out, tiny_generator, tiny_population, judges[judge], results, **changes)
        return read_metrics(out)

    return start


@pytest.fixture(scope="module")
def both(tmp_path_factory, tiny_generator, tiny_classifier, tiny_population, tiny_ranking, judges):
    """The result folder of one classifier under two names; read only."""
    folder = tmp_path_factory.mktemp("both")
    results = dict.fromkeys(("one", "two"), (tiny_ranking, tiny_classifier))
    make_curves(folder / "in", folder / "out", tiny_generator, tiny_population, judges["same"], results)
    return folder / "out"


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_twice_gives_equal_bytes_and_alone_a_classifier_has_the_same_numbers(run, tmp_path, hash_folder, both):
    alone = run("one")
    assert alone == run("two")
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert alone["one"] == read_metrics(both)["one"]
    assert alone["paired"] == {}  # nothing to compare
    assert len(pd.read_csv(tmp_path / "one" / "figures" / "paired_difference.csv")) == 0


def test_a_black_box_has_curves_beside_a_network(run, tiny_black_box, tiny_black_box_ranking, both):
    """It answers as the network does, so that what does not rest on the ranking is the same."""
    metrics = run("out", results={"box": (tiny_black_box_ranking, tiny_black_box)})
    metrics["net"] = read_metrics(both)["one"]
    for key in ("random_area", "accuracy", "ceiling", "avoidable_share"):
        assert metrics["box"][key] == metrics["net"][key], key
    assert metrics["box"]["shift_area"] < metrics["box"]["random_shift_area"]


def test_every_key_and_every_curve_is_there(both):
    metrics = read_metrics(both)
    assert metrics["one"] == metrics["two"]  # the same classifier under two names
    for key in (
        "area", "slope_per_std", "random_area", "shift_area", "random_shift_area", "shift_slope_per_std",
        "projection_area", "random_projection_area", "ceiling_area", "avoidable_area", "shift_ceiling_area",
    ):  # fmt: skip
        assert isinstance(metrics["one"][key], float), key
        assert set(metrics["one"][f"{key}_interval"]) == {"low", "high", "n"}, key
    assert set(metrics["one"]["area_per_class"]) == set("0123456789")
    low, high = metrics["one"]["random_area_range"]
    assert low <= metrics["one"]["random_area"] <= high
    ways = metrics["one"]["top_minus_random"]["shift_area"]
    assert ways["value"] == pytest.approx(metrics["one"]["shift_area"] - metrics["one"]["random_shift_area"])
    assert ways["n"] == 4

    curves = pd.read_csv(both / "curves.csv", dtype={"k": str})
    assert list(curves) == COLUMNS
    assert set(curves["k"]) == {"3", "5", "10", "all"}
    assert set(curves["scope"]) == {"all", *"0123456789"}
    shifts = curves[curves["kind"] == "shift"]
    assert len(shifts) == 2 * 3 * (1 + 10 + 1)
    assert (curves["band_low"] <= curves["accuracy"]).all()
    assert (curves["accuracy"] <= curves["band_high"]).all()
    headline = curves.query("classifier == 'one' and kind == 'distance' and scope == 'all' and k == '10'")
    headline = headline.query("scaling == 'standardised' and centre == 'own_class' and dimensions == 'top'")
    assert headline["n"].sum() == 198  # 1 % of 200 is cut
    area = np.trapezoid(headline["accuracy"], headline["x"]) / np.ptp(headline["x"])
    assert area == pytest.approx(metrics["one"]["area"], abs=1e-4)
    areas = pd.read_csv(both / "areas.csv").query("dimensions == 'top' and rise_p_value < 0.9")
    assert (areas["rise_from"] < areas["rise_to"]).all()
    assert len(areas)
    assert len(pd.read_csv(both / "areas.csv")) == curves.drop(columns=COLUMNS[7:]).drop_duplicates().shape[0]
    for name in ("fig6a_classifiers", "fig6b_classes", "shift", "projection", "paired_difference"):
        assert (both / "figures" / f"{name}.png").stat().st_size > 1000
        assert (both / "figures" / f"{name}.csv").is_file()


def test_shifts_hold_every_way_shift_and_sample(both):
    table = pd.read_csv(both / "shifts.csv")
    assert len(table) == 2 * 3 * 3 * 40
    unmoved = table[table["shift_std"] == 0].groupby("way")["classifier_right"].agg(list)
    assert unmoved["top"] == unmoved["class"] == unmoved["random"]
    moved = table[table["shift_std"] == 2].groupby("way")["classifier_right"].mean()
    assert moved["top"] < moved["random"], "the ranking leads where the classifier fails"
    shares = table[(table["way"] == "top") & (table["classifier"] == "one")].groupby("shift_std")["classifier_right"]
    curve = pd.read_csv(both / "curves.csv").query("classifier == 'one' and kind == 'shift' and scope == 'all'")
    np.testing.assert_allclose(shares.mean(), curve.query("dimensions == 'top'")["accuracy"])


def test_a_judge_that_is_the_classifier_draws_the_ceiling_onto_the_curve(both):
    # This judge holds the weights under test: nothing is avoidable, and both curves are one.
    metrics = read_metrics(both)["one"]
    for prefix in ("", "projection_", "shift_"):
        assert metrics[f"{prefix}ceiling_area"] == pytest.approx(metrics[f"{prefix}area"], abs=0.02)
        assert metrics[f"{prefix}avoidable_area"] == pytest.approx(0, abs=0.02)
    shifts = pd.read_csv(both / "curves.csv").query("kind == 'shift'")
    np.testing.assert_allclose(shifts["ceiling"], shifts["accuracy"])


def test_a_blind_judge_lowers_the_ceiling_and_moves_no_curve_nor_does_the_batch_size(run, both):
    seeing, blind = read_metrics(both)["one"], run("blind", judge="blind", batch_size=17)["one"]
    assert blind["ceiling"]["value"] == pytest.approx(0.1)  # one class for every image
    assert blind["shift_ceiling_area"] == pytest.approx(0.1)
    assert blind["shift_ceiling_area"] < seeing["shift_ceiling_area"]
    assert blind["avoidable_share"]["value"] <= 0.1
    for key in ("area", "projection_area", "trend_p_value"):
        assert blind[key] == seeing[key], key
    for key in ("shift_area", "random_shift_area"):
        assert blind[key] == pytest.approx(seeing[key], abs=0.02), key


def test_equal_classifiers_have_no_paired_difference(both):
    paired = read_metrics(both)["paired"]
    assert set(paired) == {"two_minus_one"}
    for key, n in (("area", 198), ("shift_area", 40)):
        assert paired["two_minus_one"][key] == {"value": 0, "low": 0, "high": 0, "n": n}
    real = paired["two_minus_one"]["corrupted_test_accuracy"]
    assert (real["value"], real["n"]) == (0, 30)
    assert real["low"] < 0 < real["high"]
    table = pd.read_csv(both / "figures" / "paired_difference.csv")
    assert len(table) == 4 + 3
    assert (table["low"] < 0).all()
    assert (table["high"] > 0).all()


def test_inputs_that_do_not_fit_are_named(run, tmp_path, tiny_ranking, tiny_classifier):
    few = tmp_path / "ranked"
    write_arrays(few / "predictions.zarr", {"logits": (np.zeros((7, 10)), ("sample", "class"))})
    fault = r"/ranked/predictions\.zarr: "
    for place, (given, message) in enumerate((
        ({"top_k": [10, 81]}, r"compute_curves\.top_k: got 81; allowed: at most the 80 style dimensions"),
        ({"shift_dimensions": 99}, r"compute_curves\.shift_dimensions: got 99; allowed: at most the 80 style dimens"),
        ({"shift_samples": 201}, r"compute_curves\.shift_samples: got 201; allowed: at most the 200 samples"),
        ({"judge": "strange"}, r"judges the classes zero, .*; the population has 0, 1, .*use a judge of the"),
        ({"judge": "absent"}, r"absent\.safetensors: no such weights file"),
        ({"results": {"paired": (tiny_ranking, tiny_classifier)}}, r"classifiers\.paired: metrics\.json keeps diff"),
        ({"results": {"one": (few, tiny_classifier)}}, fault + "outputs for 7 samples and 10 classes, the pop"),
        ({"results": {"one": (tmp_path / "none", tiny_classifier)}}, fault + "missing; make it with: dvc repro rank"),
    )):  # fmt: skip
        with pytest.raises(StageError, match=message):
            run(f"out{place}", **given)
        assert not (tmp_path / f"out{place}").exists()


def write_ranking(dimensions, scope="global"):
    count = len(dimensions)
    return pd.DataFrame(
        {"scope": scope, "rank": range(1, count + 1), "dimension": dimensions, "direction": [1, -1, 0][:count]}
    )


def test_order_of_a_scope_which_must_hold_every_dimension_once():
    table = pd.concat([write_ranking([2, 0, 1]).iloc[::-1], write_ranking([0, 1, 2], "7")])
    order = read_order(table, "global", 3)
    assert order.dimensions.tolist() == [2, 0, 1]
    assert order.direction.tolist() == [-1, 0, 1]  # by dimension
    assert read_order(table, "7", 3).dimensions.tolist() == [0, 1, 2]
    for dimensions in ([0, 1], [0, 1, 1], [0, 1, 3]):
        with pytest.raises(StageError, match=r"scope 'global' does not hold each of 3 dimensions once"):
            read_order(write_ranking(dimensions), "global", 3)


def test_random_dimensions_are_different_cover_all_and_are_the_same_whoever_asks():
    drawn = draw_sets(6, 4, 20, partial(numpy_stream, 1))
    assert all(len(set(dimensions.tolist())) == 4 for dimensions in drawn)
    assert set(np.concatenate(drawn).tolist()) == set(range(6))
    one, other = (draw_sets(50, 5, 3, partial(numpy_stream, 1)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert len({tuple(each) for each in one}) == 3


def test_p_values_are_told_shortly():
    told = {5.2e-15: "5e-15", 0.0: "< 1e-99", 0.0321: "0.032", 0.9999: "> 0.999", 0.97: "0.97", float("nan"): "unknown"}
    assert {value: tell_p_value(value) for value in told} == told
