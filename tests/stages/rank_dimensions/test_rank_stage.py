"""The whole stage on real networks."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax

from failure_atlas.core.arrays import read_array, write_arrays
from failure_atlas.core.errors import StageError
from failure_atlas.core.seeds import numpy_stream
from failure_atlas.ranking.doubt import draw_doubtful
from failure_atlas.world import gradients, show
from stages.common.artefacts.networks import load_networks
from stages.common.artefacts.ranking import COLUMNS, read_ranking
from stages.rank_dimensions.__main__ import main
from tests.stages.running import demanding_noise

SECTION = {"seed": 1, "batch_size": 64, "split_halves": 5, "top_k": 2, "histogram_bins": 10}


@pytest.fixture
def run(tmp_path, write_params, tiny_generator, tiny_classifier, tiny_population):
    def run_main(name="out", population=tiny_population, classifier=tiny_classifier, **changes):
        params = write_params({"rank_dimensions": SECTION | changes})
        with demanding_noise():
            main(tiny_generator, classifier, population, tmp_path / name, params)
        return tmp_path / name

    return run_main


def read_metrics(out):
    return json.loads((out / "metrics.json").read_text())


def write_population(folder, styles, labels, noise=None, lacks=""):
    noise = np.arange(len(labels)) if noise is None else noise
    arrays = {"s": (styles, ("sample", "style")), "labels": (labels, ("sample",)), "noise": (noise, ("sample",))}
    told = {"class_names": list("0123456789"), "mean_noise": [[1] * 10]}
    held = ({name: value for name, value in each.items() if name != lacks} for each in (arrays, told))
    write_arrays(folder / "population.zarr", *held)


def test_gradients_equal_finite_differences_in_float64(tiny_generator, tiny_classifier, tiny_population, monkeypatch):
    generator, classifier = load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))
    world = show.World(generator.synthesize, {show.CLASSIFIER: classifier})
    read, noise = (read_array(tiny_population / "population.zarr", name)[:3] for name in ("s", "noise"))
    (slopes,) = gradients.differentiate(world, {"softmax": gradients.softmax}, read, np.arange(3), noise=noise)
    styles, true_class = torch.from_numpy(read), torch.arange(3)
    generator.double(), classifier.double()
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # no step may round to float32 on the way
    step = 1e-5
    moves = step * torch.eye(styles.shape[1], dtype=torch.float64)
    for sample, own in enumerate(true_class):
        both = torch.cat([styles[sample].double() + moves, styles[sample].double() - moves])
        with torch.no_grad():
            images = generator.synthesize(both, np.full(len(both), noise[sample]))
            up, down = classifier(images).softmax(1)[:, own].split(len(moves))
        expected = (up - down) / (2 * step)
        found = torch.from_numpy(slopes.gradients["softmax"][sample]).double()
        assert (found - expected).norm() < 1e-4 * expected.norm()


def test_results_hold_what_they_promise(tiny_ranking, tiny_population, tiny_generator, tiny_classifier):
    out = tiny_ranking
    ranking = read_ranking(out)
    labels = read_array(tiny_population / "population.zarr", "labels")
    assert list(ranking.columns) == COLUMNS
    assert set(ranking["scope"]) == {"global", *map(str, range(10))}
    for _, block in ranking.groupby("scope"):
        assert sorted(block["dimension"]) == list(range(80))
        assert list(block["rank"]) == list(range(1, 81))
        assert (block["score"].abs().diff().dropna() <= 0).all()
        assert (block["direction"] == -np.sign(block["score"])).all()
    styles = read_array(tiny_population / "population.zarr", "s")
    spread = ranking[ranking["scope"] == "3"].sort_values("dimension")["std"]
    np.testing.assert_allclose(spread, styles.std(0, ddof=1, dtype=float), rtol=1e-5)

    logits, well = read_array(out / "predictions.zarr", "logits"), read_array(out / "predictions.zarr", "well")
    generator, classifier = load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))
    noise = read_array(tiny_population / "population.zarr", "noise")
    wanted = classifier(generator.synthesize(torch.from_numpy(styles), noise))
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(read_array(out / "predictions.zarr", "predicted"), logits.argmax(1))
    np.testing.assert_array_equal(well, logits.argmax(1) == labels)
    assert logits.dtype == np.float32

    metrics = read_metrics(out)
    assert metrics["population_accuracy"]["value"] == pytest.approx(well.mean(), rel=1e-5)
    assert metrics["population_accuracy"]["n"] == 200
    for key in ("split_half_top10_overlap", "split_half_spearman", "gradient_mass_top_tenth"):
        interval = metrics[f"{key}_interval"]
        assert interval["low"] <= metrics[key] <= interval["high"]
        assert interval["n"] == 200
    for key in ("split_half_top10_overlap", "split_half_spearman", "split_half_direction_agreement"):
        spread = metrics[f"{key}_range"]
        assert spread["smallest"] <= metrics[key] <= spread["largest"]
        assert spread["halvings"] == 4
    assert metrics["split_half_top10_overlap_range"]["smallest"] in np.arange(11) / 10
    effective = metrics["effective_n"]
    assert [effective[scope]["n"] for scope in ("global", "3")] == [200, 20]
    assert 1 <= effective["global"]["low"] <= effective["global"]["value"] <= effective["global"]["high"] <= 200
    classes = pd.read_csv(out / "classes.csv")
    assert list(classes["class"]) == list(range(10))
    assert classes["split_half_spearman"].mean() == pytest.approx(metrics["split_half_spearman_class_mean"], rel=1e-4)
    assert (classes["accuracy"] * classes["samples"]).sum() == pytest.approx(well.sum(), rel=1e-4)
    assert (out / "figures" / "scores.png").stat().st_size > 0
    assert len(pd.read_csv(out / "figures" / "scores.csv")) == 11 * 80
    assert set(pd.read_csv(out / "histograms.csv")["values"]) == {"raw", "minus_class_mean"}


DIFFERENCES = {"split_halves": 4, "finite_difference_samples": 40, "finite_difference_step_std": 0.05}


def test_the_same_inputs_give_the_same_bytes(run, tiny_ranking, tiny_black_box, tiny_black_box_ranking, hash_folder):
    assert hash_folder(run(batch_size=100, split_halves=4)) == hash_folder(tiny_ranking)
    again = run("box", classifier=tiny_black_box, batch_size=100, **DIFFERENCES)
    assert hash_folder(again) == hash_folder(tiny_black_box_ranking)


def test_scores_move_with_the_batch_by_rounding_only_and_differences_may_be_had_of_a_network_with_gradients(
    run, tiny_ranking, tiny_black_box_ranking
):
    differences = run("differences", score="finite_difference", batch_size=33, **DIFFERENCES)
    assert read_metrics(differences)["classifier_gives_gradients"]
    for pair, rtol, share in (
        ((run(batch_size=13), tiny_ranking), 1e-3, 1e-5),
        ((differences, tiny_black_box_ranking), 1e-2, 1e-3),
    ):
        one, two = (read_ranking(out).sort_values(["scope", "dimension"])["score"].to_numpy() for out in pair)
        np.testing.assert_allclose(one, two, rtol=rtol, atol=share * np.abs(two).max())


def test_a_classifier_without_a_mistake_leaves_separation_unknown(run, tmp_path, tiny_population, tiny_ranking):
    """Relabelled as predicted, no sample is misclassified: the figure is drawn and KS is null."""
    predicted = read_array(tiny_ranking / "predictions.zarr", "predicted")
    rows = np.concatenate([np.flatnonzero(predicted == label)[:4] for label in range(10)])
    assert len(rows) == 40
    styles, noise = (read_array(tiny_population / "population.zarr", name)[rows] for name in ("s", "noise"))
    write_population(tmp_path, styles, predicted[rows], noise)
    out = run("after", population=tmp_path)
    metrics = read_metrics(out)
    assert metrics["population_accuracy"]["value"] == 1
    assert metrics["well_mis_ks"]["raw"] == {"median": None, "top": None}
    histograms = pd.read_csv(out / "histograms.csv")
    assert histograms["ks"].isna().all()
    assert len(histograms) > 0


def test_a_black_box_is_ranked_by_finite_differences_and_says_so(
    tiny_black_box_ranking, tiny_ranking, tiny_generator, tiny_classifier, tiny_population
):
    """The scores are those that gradients of the same network give on the same samples with the same weights."""
    metrics = read_metrics(tiny_black_box_ranking)
    told = {key: metrics[key] for key in metrics if key.startswith(("score", "classifier_gives"))}
    assert told == {
        "score": "finite_difference", "score_samples": 40, "score_step_std": 0.05,
        "score_forward_passes": 200 + 40 * 161, "classifier_gives_gradients": False
    }  # fmt: skip
    assert metrics["split_half_spearman_interval"]["n"] == metrics["gradient_mass_top_tenth_interval"]["n"] == 40
    assert metrics["samples"] == metrics["population_accuracy"]["n"] == 200
    ranking = read_ranking(tiny_black_box_ranking)
    assert set(ranking["score_by"]) == {"finite_difference"}
    assert list(read_ranking(tiny_ranking).columns) == COLUMNS
    logits = [read_array(folder / "predictions.zarr", "logits") for folder in (tiny_black_box_ranking, tiny_ranking)]
    probabilities = [softmax(each.astype(float), axis=1) for each in logits]
    np.testing.assert_allclose(*probabilities, atol=1e-5)

    store = tiny_population / "population.zarr"
    styles, labels, noise = (read_array(store, name) for name in ("s", "labels", "noise"))
    own = probabilities[0][np.arange(200), labels]
    rows, weights = draw_doubtful(own, labels, 40, numpy_stream(1, "finite differences"))
    generator, classifier = load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))
    world = show.World(generator.synthesize, {show.CLASSIFIER: classifier})
    target = {"softmax": gradients.softmax}
    (slopes,) = gradients.differentiate(world, target, styles[rows], labels[rows], noise=noise[rows])
    weighted = slopes.gradients["softmax"] * weights[:, None]
    wanted = np.mean([weighted[labels[rows] == label].mean(axis=0) for label in range(10)], axis=0)
    found = ranking[ranking["scope"] == "global"].sort_values("dimension")["score"].to_numpy()
    assert np.corrcoef(found, wanted)[0, 1] > 0.97
    np.testing.assert_allclose(found, wanted, atol=0.25 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": "gradient"}, r"rank_dimensions\.score: got 'gradient', but .* is a black box"),
        ({"finite_difference_samples": 39}, r"finite_difference_samples: got 39; allowed: 40 to 200, 4 a class"),
        ({"finite_difference_samples": 201}, r"finite_difference_samples: got 201; allowed: 40 to 200, 4 a class"),
    ],
)
def test_wrong_params_are_named(run, tmp_path, tiny_black_box, changes, message):
    with pytest.raises(StageError, match=message):
        run(classifier=tiny_black_box, **changes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (None, r"population\.zarr: missing; make it with: dvc repro sample_populations"),
        ((40, 5), "5 style dimensions and 10 classes, the generator has 80 and 10"),
        ((39, 80), "3 samples of class 9; at least 4 of each are needed"),
    ],
)
def test_a_population_that_is_missing_or_does_not_fit_is_named(run, tmp_path, shape, message):
    if shape:
        write_population(tmp_path, np.zeros(shape, np.float32), np.arange(shape[0]) % 10)
    with pytest.raises(StageError, match=message):
        run(population=tmp_path)


@pytest.mark.parametrize("lacks", ["noise", "mean_noise"])
def test_a_population_of_before_samples_had_a_noise_is_named(run, tmp_path, lacks):
    write_population(tmp_path, np.zeros((40, 80), np.float32), np.arange(40) % 10, lacks=lacks)
    with pytest.raises(StageError, match=r"zarr: holds no noise of its samples; make it again with: dvc repro sample"):
        run(population=tmp_path)
