"""The whole stage on real networks."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from stages.common.arrays import read_array
from stages.common.errors import StageError
from stages.rank_dimensions.inputs import load_networks
from stages.walk_corner_cases.__main__ import main

SECTION = {
    "scope": "class",
    "dimensions": 3,
    "max_shift_std": 20.0,
    "grid_step_std": 1.0,
    "min_effect": 0.001,
    "start_samples": [],
    "figure_classes": [0, 1],
    "batch_size": 64,
}


@pytest.fixture
def run(tmp_path, write_params, tiny_generator, tiny_classifier, tiny_population, tiny_ranking):
    def run_main(name="out", ranking=tiny_ranking, **changes):
        params = write_params({"walk_corner_cases": SECTION | changes})
        main(tiny_generator, tiny_classifier, tiny_population, ranking, tmp_path / name, params)
        return tmp_path / name

    return run_main


def read_cases(out):
    return pd.read_csv(out / "corner_cases.csv", dtype={"class": str, "start": str, "predicted_class": str})


@pytest.fixture
def score(tiny_generator, tiny_classifier):
    """True-class softmax of styles by the real networks, one at a time: the slow twin."""
    generator, classifier = load_networks(tiny_generator, tiny_classifier, torch.device("cpu"))

    def read(styles, true_class):
        with torch.no_grad():
            rows = [classifier(generator.synthesize(torch.from_numpy(s[None]))).double().softmax(1) for s in styles]
        return np.array([float(row[0, label]) for row, label in zip(rows, true_class, strict=True)])

    return read


def test_walks_end_at_half_within_tolerance_or_at_the_farthest_shift(run, score):
    out = run()
    cases = read_cases(out)
    assert cases["reached"].any(), "the tiny networks must give corner cases, else this tests nothing"
    assert (cases.groupby("class").size() <= 3).all()
    reached = cases[cases["reached"]]
    assert reached["end_probability"].between(0.4989, 0.500001).all()
    assert (cases["shift_std"] <= 20).all()
    assert (cases[~cases["reached"]]["shift_std"] == 20).all()
    again = score(read_array(out / "corner_cases.zarr", "s"), cases["class"].astype(int))
    np.testing.assert_allclose(again, cases["end_probability"], atol=1e-4)
    assert (cases["start_probability"] > 0.5).all()


def test_only_one_dimension_moves_and_by_what_the_table_says(run, tiny_population):
    out = run()
    cases = read_cases(out)
    styles = read_array(tiny_population / "population.zarr", "s")
    labels = read_array(tiny_population / "population.zarr", "labels")
    ends = read_array(out / "corner_cases.zarr", "s")
    for case, end in zip(cases.itertuples(), ends, strict=True):
        mean = styles[labels == int(cases["class"][case.Index])].mean(0, dtype=float).astype(np.float32)
        moved = np.flatnonzero(end != mean)
        assert list(moved) == [case.dimension]
        assert end[case.dimension] - mean[case.dimension] == pytest.approx(case.direction * case.shift, rel=1e-3)
        assert case.shift == pytest.approx(
            case.shift_std * styles[:, case.dimension].std(dtype=float, ddof=1), rel=1e-4
        )
    np.testing.assert_array_equal(read_array(out / "corner_cases.zarr", "labels"), cases["class"].astype(int))
    assert read_array(out / "corner_cases.zarr", "images").dtype == np.uint8


def test_the_score_is_above_half_at_the_grid_points_before_the_end(run, score):
    out = run()
    cases = read_cases(out)
    cases = cases[cases["reached"]]
    end, shift_std = read_array(out / "corner_cases.zarr", "s")[cases.index], cases["shift_std"].to_numpy()
    per_std = (cases["direction"] * cases["shift"]).to_numpy() / shift_std
    for back in range(3):
        grid_point = np.ceil(shift_std) - 1 - back
        before = grid_point > 0
        styles = end.copy()
        styles[np.arange(len(end)), cases["dimension"]] -= (per_std * (shift_std - grid_point)).astype(np.float32)
        assert (score(styles[before], cases["class"].astype(int).to_numpy()[before]) > 0.5).all()


def test_metrics_equal_a_recount_of_the_table(run):
    out = run()
    cases, starts = read_cases(out), pd.read_csv(out / "starts.csv")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["walks"] == len(cases)
    for limit in (5, 10, 20):
        share = (cases["reached"] & (cases["shift_std"] <= limit)).mean()
        assert metrics[f"reached_within_{limit}_std"] == pytest.approx(share, rel=1e-4)
        interval = metrics[f"reached_within_{limit}_std_interval"]
        assert interval["low"] <= share <= interval["high"]
        assert interval["n"] == len(cases)
    if cases["reached"].mean() > 0.5:
        assert metrics["median_shift_std"] == pytest.approx(cases["shift_std"].median(), rel=1e-4)
    assert starts["walks"].sum() == len(cases)
    assert starts["reached"].sum() == metrics["reached"] == cases["reached"].sum()
    assert metrics["skipped_no_effect"] == starts["skipped_no_effect"].sum()
    assert metrics["starts_in_doubt"] == (~starts["walked"]).sum()
    assert metrics["largest_end_error"] <= 1e-3 + 1e-6
    assert "from_samples" not in metrics


def test_samples_asked_for_are_walked_beside_the_means(run, score, tiny_population):
    samples = [3, 17, 18, 19]
    out = run(start_samples=samples, figure_classes=[])
    cases, metrics = read_cases(out), json.loads((out / "metrics.json").read_text())
    styles = read_array(tiny_population / "population.zarr", "s")
    labels = read_array(tiny_population / "population.zarr", "labels")
    starts = pd.read_csv(out / "starts.csv", dtype=str)
    assert list(starts["start"]) == ["mean"] * 10 + [str(index) for index in samples]
    p = score(styles[samples], labels[samples])
    np.testing.assert_allclose(starts["start_probability"][10:].astype(float), p, rtol=1e-3, atol=1e-6)
    assert list(starts["walked"][10:]) == [str(value > 0.5) for value in p]
    own = cases[cases["start"] != "mean"]
    assert set(own["start"]) == {str(index) for index, value in zip(samples, p, strict=True) if value > 0.5}
    assert metrics["from_samples"]["walks"] == len(own)
    assert metrics["from_samples"]["starts_in_doubt"] == (p <= 0.5).sum()
    alone = json.loads((run("alone", figure_classes=[]) / "metrics.json").read_text())
    metrics.pop("from_samples")
    assert metrics == alone


def test_a_short_leash_leaves_far_shares_unknown_and_the_median_censored(run):
    out = run(max_shift_std=0.01)
    cases, metrics = read_cases(out), json.loads((out / "metrics.json").read_text())
    assert (cases["shift_std"] <= 0.01).all()
    assert metrics["reached_within_5_std"] is None
    assert metrics["median_shift_std"] is None
    assert metrics["median_shift_std_interval"]["high"] is None


def test_the_global_ranking_gives_every_class_the_same_dimensions(run):
    cases = read_cases(run(scope="global", min_effect=0.0))
    assert len({tuple(own["dimension"]) for _, own in cases.groupby("class")}) == 1


def test_the_batch_size_moves_ends_by_rounding_only(run):
    one, other = read_cases(run("one", batch_size=7)), read_cases(run("other", batch_size=500))
    pd.testing.assert_frame_equal(one, other, rtol=1e-3, atol=1e-4)


def test_the_same_inputs_give_the_same_bytes(run, hash_folder):
    first = hash_folder(run("first"))
    assert first == hash_folder(run("second"))
    assert {"figures/fig7_corner_cases.png", "figures/fig7_corner_cases.csv", "corner_cases.csv"} <= set(first)


def test_figure_5_goes_from_the_start_to_the_end(run):
    out = run(figure_classes=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    cases, starts = read_cases(out), pd.read_csv(out / "starts.csv")
    walked = starts.index[starts["walked"]]
    assert [(out / "figures" / f"fig5_degradation_class{index}.png").exists() for index in range(10)] == list(
        starts["walked"]
    )
    for index in walked:
        table = pd.read_csv(out / "figures" / f"fig5_degradation_class{index}.csv")
        own = cases[cases["class"] == str(index)]
        assert list(table["progress"]) == list(np.repeat([0, 0.25, 0.5, 0.75, 1], len(own)))
        np.testing.assert_allclose(table["probability"].tail(len(own)), own["end_probability"], atol=1e-4)
        np.testing.assert_allclose(table["probability"].head(len(own)), own["start_probability"], atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scope": "all"}, r"walk_corner_cases\.scope: got 'all'; allowed: 'class' or 'global'"),
        ({"max_shift_std": 0}, r"walk_corner_cases\.max_shift_std: got 0; allowed: greater than 0"),
        ({"dimension": 3}, r"walk_corner_cases\.dimension: unknown key; allowed here: scope, dimensions"),
        ({"start_samples": [1, 1]}, r"walk_corner_cases\.start_samples: got \[1, 1\]; allowed: each index once"),
        ({"start_samples": [200]}, r"walk_corner_cases\.start_samples: got 200; allowed: 0 to 199"),
        ({"figure_classes": [10]}, r"walk_corner_cases\.figure_classes: got 10; allowed: 0 to 9"),
    ],
)
def test_wrong_params_are_named(run, tmp_path, changes, message):
    with pytest.raises(StageError, match=message):
        run(**changes)
    assert not (tmp_path / "out").exists()


def test_a_missing_ranking_is_named(run, tmp_path):
    with pytest.raises(StageError, match=r"ranking\.csv: missing; make it with: dvc repro rank_dimensions"):
        run(ranking=tmp_path)


def test_a_ranking_of_another_generator_is_refused(run, tmp_path, tiny_ranking):
    table = pd.read_csv(tiny_ranking / "ranking.csv")
    table[table["dimension"] < 70].to_csv(tmp_path / "ranking.csv", index=False)
    with pytest.raises(StageError, match="ranks 70 dimensions in scope '0', the generator has 80"):
        run(ranking=tmp_path)
    table.drop(columns="std").to_csv(tmp_path / "ranking.csv", index=False)
    with pytest.raises(StageError, match=r"ranking\.csv: lacks the columns std"):
        run(ranking=tmp_path)
