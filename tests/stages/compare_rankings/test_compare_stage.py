"""The whole stage on real networks."""

import json

import numpy as np
import pandas as pd
import pytest

from failure_atlas.core.errors import StageError
from failure_atlas.ranking.held_out import judge_no_worse
from stages.common.artefacts.ranking import read_ranking
from stages.compare_rankings.__main__ import main

SECTION = {
    "seed": 1, "samples": 200, "attfind_samples": 12, "held_out_samples": 40, "random_draws": 4, "attfind_margin": 0.02,
    "top_k": [1, 3], "shifts_std": [1.0, 2.0], "headline_k": 3, "headline_shift_std": 2.0, "walk_dimensions": 3,
    "max_shift_std": 6, "split_halves": 4, "bootstrap_replicates": 40, "fdr": 0.05, "batch_size": 100,
}  # fmt: skip
METHODS = 15


@pytest.fixture(scope="module")
def start_stage(start_analysis, tiny_judge):
    return lambda out, **given: start_analysis(main, SECTION, out, **{"judge": tiny_judge} | given)


def read_metrics(out):
    return json.loads((out / "metrics.json").read_text())


def test_the_table_holds_every_method_with_its_cost(out):
    table = pd.read_csv(out / "comparison.csv")
    assert len(table) == METHODS
    cost = table.set_index(["method", "budget"])["forward_passes"]
    assert cost["attfind", "full"] == 12 * 161
    assert cost["paper", "full"] == 600
    assert cost["paper", "1/50"] == 36 <= 12 * 161 / 50
    for name in ("accuracy", "probability", "true_failure_share", "probability_minus_attfind"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    assert (table["n"] == 40).all()
    assert table.set_index("method")["draws"].to_dict() == dict.fromkeys(table["method"], 1) | {"random": 4}
    assert (table["true_failure_share"] <= 1 - table["accuracy"] + 1e-6).all()
    assert (table["reached_within_5_std"] <= table["walks_reached"] / table["walks"] + 1e-6).all()
    assert table["reached_within_10_std"].isna().all()
    assert table["walks_reached"].max() > 0, "the tiny networks must give crossings, else the walks test nothing"


def test_cells_agree_with_the_headline(out):
    table, cells = pd.read_csv(out / "comparison.csv"), pd.read_csv(out / "shifts.csv", keep_default_na=False)
    assert len(cells) == 1 + 9 * 4 + 6  # unmoved; in all cells; small budget and the second AttFind in the headline's
    headline = cells[(cells["k"] == 3) & (cells["shift_std"] == 2)].set_index(["method", "budget"])
    for row in table.to_dict("records"):
        cell = headline.loc[(row["method"], row["budget"])]
        assert (cell["accuracy"], cell["probability"]) == (row["accuracy"], row["probability"])
    probability = headline["probability"]
    assert probability["gradient_std", "full"] < min(cells["probability"][0], probability["random", "full"])
    assert probability["attfind", "full"] < cells["probability"][0]  # the unmoved
    figure = pd.read_csv(out / "figures" / "comparison.csv", keep_default_na=False)
    assert set(figure["k"]) == {0, 3}


def test_metrics_name_the_best_and_what_it_saved(out):
    metrics, table = read_metrics(out), pd.read_csv(out / "comparison.csv")
    assert metrics["best_gradient_score"].endswith("(1/50)")
    assert metrics["attfind_variant"] in ("attfind", "attfind_probability")
    assert metrics["forward_pass_ratio"] >= 50
    difference = metrics["best_gradient_minus_attfind_probability"]
    accuracy = metrics["best_gradient_minus_attfind_accuracy"]
    assert metrics["best_gradient_no_worse_than_attfind"] == judge_no_worse(accuracy, 0.02)
    assert metrics["best_gradient_at_least_equals_attfind"] == int(accuracy["value"] <= 0)
    assert all(lead["probability_minus_attfind"]["value"] > 0 for lead in metrics["attfind_leads"])
    name = metrics["best_gradient_score"].removesuffix(" (1/50)")
    row = table[(table["method"] == name) & (table["budget"] == "1/50")].iloc[0]
    assert row["probability_minus_attfind"] == pytest.approx(difference["value"], abs=1e-6)
    assert len(metrics["headline_probability"]) == METHODS
    assert metrics["samples"] == 200
    assert metrics["unmoved_accuracy"]["n"] == metrics["held_out_samples"] == 40
    assert metrics["paper_top10_shared_with_rank_dimensions"] == 1  # of the same samples
    assert metrics["paper_spearman_with_rank_dimensions"] > 0.9999


def test_influence_is_told_of_every_dimension(out, tiny_ranking):
    table, metrics = pd.read_csv(out / "influence.csv"), read_metrics(out)
    assert list(table["dimension"]) == list(range(80))
    ranking = read_ranking(tiny_ranking)
    ranking = ranking[ranking["scope"] == "global"].sort_values("dimension")
    np.testing.assert_allclose(table["effect"], ranking["score"] * ranking["std"], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(table["standard_error"], ranking["standard_error"] * ranking["std"], rtol=1e-3)
    assert table["influential"].sum() == metrics["influential_dimensions"]["value"]
    assert (table["influential"] <= (table["q_value"] <= 0.05)).all()
    assert (table["q_value"] >= table["p_value"] * 0.9999).all()
    assert (table["zero_q_value"] <= 0.05).sum() == metrics["dimensions_with_a_mean_other_than_0"]
    for key in ("influential_overlap_of_halves", "influential_overlap_of_populations"):
        assert 0 <= metrics[key]["low"] <= metrics[key]["value"] <= metrics[key]["high"] <= 1
    for name in ("comparison", "influence"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 0


def test_the_same_inputs_give_the_same_bytes(run, out, hash_folder):
    assert hash_folder(run()) == hash_folder(out)


def test_a_black_box_is_compared_by_differences(run, tiny_black_box, tiny_black_box_ranking):
    folder = run(
        classifier=tiny_black_box, ranking=tiny_black_box_ranking, finite_difference_samples=40, attfind_samples=10
    )
    metrics, table = read_metrics(folder), pd.read_csv(folder / "comparison.csv")
    assert [metrics[key] for key in ("score", "score_samples", "score_step_std")] == ["finite_difference", 40, 0.1]
    assert metrics["samples"] == metrics["influential_dimensions"]["n"] == 40
    assert set(table["budget"]) == {"full"}
    assert len(table) == METHODS - 5
    cost = table.set_index("method")["forward_passes"]
    assert (cost["paper"], cost["random"], cost["attfind"]) == (40 * 161, 40 * 161, 10 * 161)
    assert metrics["best_gradient_score"] == metrics["best_gradient_score_full"]
    assert metrics["paper_spearman_with_rank_dimensions"] > 0
    probability = table.set_index("method")["probability"]
    assert probability["gradient_std"] < metrics["unmoved_probability"]["value"]
    assert probability["gradient_std"] < probability["random"]
    same = run("gradients", ranking=None, samples=40, attfind_samples=10, held_out_samples=10)  # of the same samples
    assert "paper_spearman_with_rank_dimensions" not in read_metrics(same)  # which is optional
    effects = [pd.read_csv(place / "influence.csv")["effect"] for place in (folder, same)]
    assert np.corrcoef(*effects)[0, 1] > 0.95
    for name in ("comparison", "influence"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 0


def test_part_of_the_population_need_not_equal_the_ranking_of_all(run):
    metrics = read_metrics(run(samples=60, held_out_samples=10))
    assert metrics["samples"] == 60
    assert 0.3 < metrics["paper_spearman_with_rank_dimensions"] < 0.9999


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top": [1]}, r"compare_rankings\.top: unknown key; allowed here: seed, samples"),
        ({"fdr": 1.5}, r"compare_rankings\.fdr: got 1\.5; allowed: less than 1"),
        ({"top_k": [3, 1]}, r"compare_rankings: allowed: top_k \[3, 1\] rising, each value once"),
        ({"random_draws": 1}, r"compare_rankings\.random_draws: got 1; allowed: greater than or equal to 2"),
        ({"random_draws": 41}, r"compare_rankings\.held_out_samples: got 40; allowed: at least 41"),
        ({"headline_k": 2}, r"compare_rankings: allowed: headline_k 2 must be one of top_k \[1, 3\]"),
        ({"headline_shift_std": 4.0}, r"headline_shift_std 4\.0 must be one of shifts_std \[1\.0, 2\.0\]"),
        ({"samples": 201}, r"compare_rankings\.samples: got 201; allowed: 40 to 200"),
        ({"samples": 39}, r"compare_rankings\.samples: got 39; allowed: 40 to 200"),
        ({"attfind_samples": 9}, r"compare_rankings\.attfind_samples: got 9; allowed: 10 to 200"),
        ({"attfind_samples": 150, "samples": 100}, r"compare_rankings\.samples: got 100; allowed: 161 to 200"),
        ({"held_out_samples": 9}, r"compare_rankings\.held_out_samples: got 9; allowed: at least 10"),
        ({"top_k": [3, 81]}, r"compare_rankings\.top_k: got 81; allowed: 1 to 80"),
        ({"walk_dimensions": 81}, r"compare_rankings\.walk_dimensions: got 81; allowed: 1 to 80"),
        ({"finite_difference_samples": 39}, r"finite_difference_samples: got 39; allowed: 40 to 200, 4 a class"),
    ],
)
def test_wrong_params_are_named(run, tmp_path, tiny_black_box, changes, message):
    with pytest.raises(StageError, match=message):
        run(classifier=tiny_black_box, **changes)
    assert not (tmp_path / "out").exists()


def test_a_missing_judge_and_a_ranking_of_another_classifier_are_named(run, tmp_path, tiny_ranking):
    with pytest.raises(StageError, match=r"judge\.safetensors: missing; make it with: dvc repro train_judges"):
        run(judge=tmp_path / "judge.safetensors")
    table = pd.read_csv(tiny_ranking / "ranking.csv")
    for held, message in (
        (table.assign(score=-table["score"]), "its scores are up to .* off this classifier's, the largest of which is"),
        (table[table["dimension"] < 70], r"ranking\.csv: ranks 70 dimensions, the generator has 80"),
    ):
        held.to_csv(tmp_path / "ranking.csv", index=False)
        with pytest.raises(StageError, match=message):
            run(ranking=tmp_path)
