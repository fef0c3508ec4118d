"""The stage on tiny networks, and the study on a population whose geometry is known."""

import json

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.arrays import write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.statistics.bootstrap import Resampling, draw_counts
from stages.common.artefacts.ranking import ALL, Order
from stages.compute_curves.__main__ import main
from stages.compute_curves.binned_study import BinnedStudy
from stages.compute_curves.distance_study import study_distances
from stages.compute_curves.summary import select
from stages.shift_samples.__main__ import main as shift_samples
from tests import yaml12 as yaml

SECTION = {
    "seed": 1, "top_k": [3, 10, "all"], "headline_k": 10, "bins": 4, "tail_quantile": 0.99, "random_draws": 4,
    "bootstrap_replicates": 100, "batch_size": 50,
}  # fmt: skip
SHIFTS = {
    "seed": 1, "samples": 40, "dimensions": 5, "max_shift_std": 2.0, "step_std": 1.0, "random_draws": 4,
    "batch_size": 50,
}  # fmt: skip
COLUMNS = [
    "classifier", "kind", "scope", "dimensions", "k", "scaling", "centre", "point", "x", "accuracy", "low", "high", "n",
    "ceiling", "ceiling_low", "ceiling_high", "band_low", "band_high",
]  # fmt: skip


def name_classifiers(*names):
    return {"classifiers": dict.fromkeys(names, "train_classifiers"), "train_classifiers": dict.fromkeys(names)}


def make_curves(folder, out, generator, population, judge, results, **changes):
    """Shift samples of each classifier, then compute the curves; results: name -> (result of rank_dimensions, weights).

    judge: of the population; that of the shifts, too.
    """
    shifts = SHIFTS | ({"batch_size": changes["batch_size"]} if "batch_size" in changes else {})
    sections = {"shift_samples": shifts, "compute_curves": SECTION | changes}
    folder.mkdir(parents=True)
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump(name_classifiers(*results) | sections), encoding="utf-8")
    (folder / "ranked").mkdir()
    for name, (ranked, classifier) in results.items():
        (folder / "ranked" / name).symlink_to(ranked)
        if (ranked / "ranking.csv").exists():
            shift_samples(generator, classifier, population, ranked, judge, folder / "shifted" / name, params)
    main(population, f"{folder}/ranked/{{name}}", f"{folder}/shifted/{{name}}", judge, out, params)


@pytest.fixture
def run(tmp_path, tiny_generator, tiny_classifier, tiny_population, tiny_ranking, tiny_judge):
    def start(name, *, results=None, judge=tiny_judge, **changes):
        results = results or {"one": (tiny_ranking, tiny_classifier)}
        out = tmp_path / name
        make_curves(tmp_path / f"{name}_in", out, tiny_generator, tiny_population, judge, results, **changes)
        return read_metrics(out)

    return start


@pytest.fixture(scope="module")
def both(tmp_path_factory, tiny_generator, tiny_classifier, tiny_population, tiny_ranking, tiny_judge):
    """The result folder of one classifier under two names; read only."""
    folder = tmp_path_factory.mktemp("both")
    results = dict.fromkeys(("one", "two"), (tiny_ranking, tiny_classifier))
    make_curves(folder / "in", folder / "out", tiny_generator, tiny_population, tiny_judge, results)
    return folder / "out"


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_twice_gives_equal_bytes(run, tmp_path, hash_folder):
    assert run("one") == run("two")
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")


def test_a_black_box_has_curves_beside_a_network(
    run, tiny_black_box, tiny_black_box_ranking, tiny_classifier, tiny_ranking
):
    """It answers as the network does, so that what does not rest on the ranking is the same."""
    metrics = run(
        "out",
        results={"box": (tiny_black_box_ranking, tiny_black_box), "net": (tiny_ranking, tiny_classifier)},
    )
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
    assert len(pd.read_csv(both / "areas.csv")) == curves.drop(columns=COLUMNS[7:]).drop_duplicates().shape[0]
    for name in ("fig6a_classifiers", "fig6b_classes", "shift", "projection", "paired_difference"):
        assert (both / "figures" / f"{name}.png").stat().st_size > 1000
        assert (both / "figures" / f"{name}.csv").is_file()


def test_batch_size_changes_nothing(run, both):
    one, other = read_metrics(both), run("other", batch_size=17)
    assert one["one"]["shift_area"] == pytest.approx(other["one"]["shift_area"], abs=0.02)
    assert one["one"]["area"] == other["one"]["area"]


def test_a_judge_that_is_the_classifier_draws_the_ceiling_onto_the_curve(both):
    # `tiny_judge` holds the weights under test: nothing is avoidable, and both curves are one.
    metrics = read_metrics(both)["one"]
    for prefix in ("", "projection_", "shift_"):
        assert metrics[f"{prefix}ceiling_area"] == pytest.approx(metrics[f"{prefix}area"], abs=0.02)
        assert metrics[f"{prefix}avoidable_area"] == pytest.approx(0, abs=0.02)
    shifts = pd.read_csv(both / "curves.csv").query("kind == 'shift'")
    np.testing.assert_allclose(shifts["ceiling"], shifts["accuracy"])


def test_a_judge_that_reads_nothing_lowers_the_ceiling_and_moves_no_curve(run, both, blind_judge):
    seeing, blind = read_metrics(both)["one"], run("blind", judge=blind_judge)["one"]
    assert blind["ceiling"]["value"] == pytest.approx(0.1)  # one class for every image
    assert blind["shift_ceiling_area"] == pytest.approx(0.1)
    assert blind["shift_ceiling_area"] < seeing["shift_ceiling_area"]
    assert blind["avoidable_share"]["value"] <= 0.1
    for key in ("area", "shift_area", "projection_area", "random_shift_area", "shift_trend_p_value"):
        assert blind[key] == seeing[key], key


def test_equal_classifiers_have_no_paired_difference(both):
    paired = read_metrics(both)["paired"]
    assert set(paired) == {"two_minus_one"}
    for key, n in (("area", 198), ("shift_area", 40)):
        assert paired["two_minus_one"][key] == {"value": 0, "low": 0, "high": 0, "n": n}
    table = pd.read_csv(both / "figures" / "paired_difference.csv")
    assert len(table) == 4 + 3
    assert (table["low"] < 0).all()
    assert (table["high"] > 0).all()


def test_judge_of_other_classes_or_none(run, tmp_path, strange_judge):
    with pytest.raises(StageError, match=r"judges the classes zero, .*; the population has 0, 1, .*use a judge of the"):
        run("out", judge=strange_judge)
    with pytest.raises(StageError, match=r"absent\.safetensors: no such weights file"):
        run("other", judge=tmp_path / "absent.safetensors")


def test_a_classifier_cannot_take_the_name_of_the_differences(run, tiny_ranking, tiny_classifier):
    with pytest.raises(
        StageError, match=r"classifiers\.paired: metrics\.json keeps differences there; give it another"
    ):
        run("out", results={"paired": (tiny_ranking, tiny_classifier)})


def test_alone_a_classifier_has_the_same_numbers_and_nothing_to_compare(run, tmp_path, both):
    alone = run("alone")
    assert alone["one"] == read_metrics(both)["one"]
    assert alone["paired"] == {}
    assert len(pd.read_csv(tmp_path / "alone" / "figures" / "paired_difference.csv")) == 0


def test_distance_study_on_a_population_that_fails_far_out():
    # Two classes around centres far apart; a sample is misclassified beyond radius 1.5 in dimensions 0 and 1.
    stream = np.random.default_rng(1)
    true_class = np.arange(4000) % 2
    offsets = stream.standard_normal((4000, 8))
    styles = (offsets + 10 * true_class[:, None]).astype(np.float32)
    well = np.linalg.norm(offsets[:, :2], axis=1) < 1.5
    order = Order(np.arange(8), np.ones(8, int))
    resampling = Resampling(draw_counts(4000, 100, stream), draw_counts(2, 100, stream))
    results = list(
        study_distances(BinnedStudy(
            "disc", styles, true_class, well, np.ones(4000, bool), np.ones(8), {ALL: order, "a": order, "b": order},
            {2: [np.array([4, 5]), np.array([6, 7])]}, resampling, top_k=[2, "all"], bins=10, tail_quantile=0.99,
        ))
    )  # fmt: skip
    assert len(results) == 2 * 2 * 3 * 3
    own = {"scope": ALL, "scaling": "standardised", "centre": "own_class"}
    (top,), (random,) = (select(results, k="2", dimensions=kind, **own) for kind in ("top", "random"))
    assert top.curve.accuracy[0] == 1
    assert top.curve.accuracy[-1] == 0
    assert np.ptp(random.curve.accuracy) < 0.15
    assert top.slope["high"] < -0.3 < random.slope["low"]
    assert top.trend_p_value < 1e-100
    assert top.rises == 0
    assert top.ceiling_area["value"] == 1
    assert top.avoidable_area["value"] == pytest.approx(1 - top.area["value"])
    for scope in ("a", "b"):
        (part,) = select(results, k="2", dimensions="top", **own | {"scope": scope})
        assert part.curve.n.sum() == 1980
        np.testing.assert_allclose(part.curve.accuracy, top.curve.accuracy, atol=0.3)
    (everything,) = select(results, k="all", **own)
    assert everything.slope["high"] < 0
    # From one centre between both classes the failures lie on both sides: the curve rises before it falls.
    (shared,) = select(results, k="2", dimensions="top", **own | {"centre": "all"})
    assert shared.rises > 0
    assert shared.curve.accuracy[1:-1].min() > max(shared.curve.accuracy[0], shared.curve.accuracy[-1]) + 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bins": 1}, r"compute_curves\.bins: got 1; allowed: greater than or equal to 2"),
        ({"tail_quantile": 1.5}, r"compute_curves\.tail_quantile: got 1\.5; allowed: less than or equal to 1"),
        ({"headline_k": 4}, r"compute_curves\.headline_k: got 4; allowed: a number among top_k: 3, 10, all"),
        ({"top_k": [10, 81]}, r"compute_curves\.top_k: got 81; allowed: at most the generator's 80 style dimensions"),
        ({"bootstrap_replicates": 10}, r"compute_curves\.bootstrap_replicates: got 10; allowed: greater than or equal"),
        ({"top_k": ["most"]}, r"compute_curves\.top_k\.0.*: got 'most'; allowed: "),
    ],
)
def test_wrong_params_name_key_value_and_what_is_allowed(run, tmp_path, changes, message):
    with pytest.raises(StageError, match=message):
        run("out", **changes)
    assert not (tmp_path / "out").exists()


def test_predictions_of_another_population(run, tmp_path, tiny_classifier):
    folder = tmp_path / "ranked"
    write_arrays(folder / "predictions.zarr", {"predicted": (np.zeros(7, np.int64), ("sample",))})
    with pytest.raises(StageError, match=r"predictions\.zarr: 7 predictions for 200 samples"):
        run("out", results={"one": (folder, tiny_classifier)})
    with pytest.raises(StageError, match=r"one/predictions\.zarr: missing; make it with: dvc repro rank_dimensions"):
        run("out2", results={"one": (tmp_path / "absent", tiny_classifier)})
