"""The whole stage on real networks, and its tables from outcomes that are known."""

import numpy as np
import pandas as pd
import pytest

from failure_atlas.judges.verdicts import STILL_RIGHT, VERDICTS
from failure_atlas.ranking.held_out import CoarseWalks, Outcome, choose_best, draw_resamples, judge_no_worse
from failure_atlas.ranking.methods import Method
from stages.common.artefacts.ranking import read_ranking
from stages.compare_rankings.__main__ import main
from stages.compare_rankings.study import Moved
from stages.compare_rankings.tables import list_attfind_leads, summarize_comparison, tabulate_cells, tabulate_methods
from tests.refusing import refused
from tests.stages.running import Stage, read_metrics

SECTION = {
    "seed": 1, "samples": 200, "attfind_samples": 12, "held_out_samples": 40, "random_draws": 4, "attfind_margin": 0.02,
    "top_k": [1, 3], "shifts_std": [1.0, 2.0], "headline_k": 3, "headline_shift_std": 2.0, "walk_dimensions": 3,
    "max_shift_std": 6, "split_halves": 4, "bootstrap_replicates": 40, "fdr": 0.05, "batch_size": 100,
}  # fmt: skip
METHODS = 15


@pytest.fixture(scope="module")
def stage(request, tiny_ranking):
    return Stage(request, main, "compare_rankings", SECTION, ranking=tiny_ranking)


def test_the_table_holds_every_method_with_its_cost(out):
    table = pd.read_csv(out / "comparison.csv")
    assert len(table) == METHODS
    cost = table.set_index(["method", "budget"])["forward_passes"]
    assert (cost["attfind", "full"], cost["paper", "full"]) == (12 * 161, 600)
    assert cost["paper", "1/50"] == 36 <= 12 * 161 / 50
    for name in ("accuracy", "probability", "true_failure_share", "probability_minus_attfind"):
        assert ((table[f"{name}_low"] <= table[name]) & (table[name] <= table[f"{name}_high"])).all()
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
    assert (len(metrics["headline_probability"]), metrics["samples"]) == (METHODS, 200)
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
    box = {"classifier": tiny_black_box, "ranking": tiny_black_box_ranking}
    folder = run(**box, finite_difference_samples=40, attfind_samples=10)
    metrics, table = read_metrics(folder), pd.read_csv(folder / "comparison.csv")
    assert [metrics[key] for key in ("score", "score_samples", "score_step_std")] == ["finite_difference", 40, 0.1]
    assert metrics["samples"] == metrics["influential_dimensions"]["n"] == 40
    assert (set(table["budget"]), len(table)) == ({"full"}, METHODS - 5)
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


WRONG_PARAMS = [
    ({"random_draws": 41}, r"compare_rankings\.held_out_samples: got 40; allowed: at least 41"),
    ({"samples": 201}, r"compare_rankings\.samples: got 201; allowed: 40 to 200"),
    ({"samples": 39}, r"compare_rankings\.samples: got 39; allowed: 40 to 200"),
    ({"attfind_samples": 9}, r"compare_rankings\.attfind_samples: got 9; allowed: 10 to 200"),
    ({"attfind_samples": 150, "samples": 100}, r"compare_rankings\.samples: got 100; allowed: 161 to 200"),
    ({"held_out_samples": 9}, r"compare_rankings\.held_out_samples: got 9; allowed: at least 10"),
    ({"top_k": [3, 81]}, r"compare_rankings\.top_k: got 81; allowed: 1 to 80"),
    ({"walk_dimensions": 81}, r"compare_rankings\.walk_dimensions: got 81; allowed: 1 to 80"),
    ({"finite_difference_samples": 39}, r"finite_difference_samples: got 39; allowed: 40 to 200, 4 a class"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_PARAMS)
def test_wrong_params_are_named(refuse, tiny_black_box, changes, message):
    refuse(message, classifier=tiny_black_box, **changes)


def test_a_missing_judge_and_a_ranking_of_another_classifier_are_named(refuse, tmp_path, tiny_ranking):
    judge = tmp_path / "judge.safetensors"
    refuse(r"judge\.safetensors: missing; make it with: dvc repro train_judges", judge=judge)
    table = pd.read_csv(tiny_ranking / "ranking.csv")
    for held, message in (
        (table.assign(score=-table["score"]), "its scores are up to .* off this classifier's, the largest of which is"),
        (table[table["dimension"] < 70], r"ranking\.csv: ranks 70 dimensions, the generator has 80"),
    ):
        held.to_csv(tmp_path / "ranking.csv", index=False)
        refuse(message, ranking=tmp_path)


def make_outcomes(means, samples=400):
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, samples)
    outcomes = {}
    for label, height in means.items():
        correct, right = height + noise > 0.5, VERDICTS.index(STILL_RIGHT)
        outcomes[label] = Outcome(height + noise, correct, np.where(correct, right, np.arange(samples) % 3))
    return outcomes


def test_the_best_is_compared_with_attfind_on_other_samples():
    costs = ("paper", "full", 500, 1500), ("paper", "1/50", 10, 30), ("attfind", "full", 6, 1500)
    methods = [Method(*cost, np.zeros((1, 1, 3))) for cost in costs]
    labels = ("paper", "paper (1/50)", "attfind")
    assert choose_best(labels, make_outcomes({"paper": 0.5, "paper (1/50)": 0.3, "attfind": 0.4})) == "paper (1/50)"
    unmoved = make_outcomes({"none": 0.9})["none"]
    resamples = draw_resamples(400, np.random.default_rng(1))
    for means, verdict, equals, beats in (
        ((0.3, 0.4, 0.45), "holds", 1, 1), ((0.3, 0.5, 0.45), "fails", 0, 0), ((0.3, 0.45, 0.45), "holds", 1, 0)
    ):  # fmt: skip
        headline = make_outcomes(dict(zip(labels, means, strict=True)))
        moved = Moved({}, unmoved, labels[1], labels[0], labels[2])
        metrics = summarize_comparison(methods, headline, moved, resamples, 0.02)
        assert metrics["best_gradient_no_worse_than_attfind"] == verdict
        assert metrics["best_gradient_at_least_equals_attfind"] == equals
        assert metrics["best_gradient_beats_attfind"] == beats
        difference = metrics["best_gradient_minus_attfind_probability"]
        assert difference["value"] == pytest.approx(means[1] - means[2])
        assert metrics["best_gradient_full_minus_attfind_probability"]["value"] == pytest.approx(means[0] - means[2])
        assert metrics["forward_pass_ratio"] == 50


def test_the_cells_that_attfind_leads_are_listed():
    own = make_outcomes({"paper": 0.5, "gradient_std": 0.4, "attfind": 0.45})
    outcomes = {(label, k, 2.0): outcome for label, outcome in own.items() for k in (1, 3)}
    outcomes["gradient_std", 3, 2.0] = own["paper"]
    outcomes["paper", 9, 2.0] = own["paper"]  # in which AttFind was not tried
    resamples = draw_resamples(400, np.random.default_rng(1))
    (lead,) = list_attfind_leads(outcomes, ("paper", "gradient_std"), "attfind", resamples)
    assert (lead["k"], lead["shift_std"], lead["best_gradient_score"]) == (3, 2.0, "paper")
    assert lead["probability_minus_attfind"]["value"] == pytest.approx(0.05)


def test_tables_count_what_they_say():
    methods = [Method(name, "full", 10, 30, np.eye(3)[None]) for name in ("paper", "attfind")]
    headline = make_outcomes({"paper": 0.48, "attfind": 0.6})
    walks = {
        "paper": CoarseWalks(np.array([[4, 8, np.inf, 5]]), np.array([[0, 1, -1, 0]])),
        "attfind": CoarseWalks(np.full((1, 2), np.inf), np.full((1, 2), -1)),
    }
    table = tabulate_methods(methods, headline, walks, "attfind", draw_resamples(400, np.random.default_rng(0)), 10)
    paper, attfind = table.to_dict("records")
    wrong = headline["paper"].probability <= 0.5
    assert paper["accuracy"] == pytest.approx(1 - wrong.mean())
    assert paper["true_failure_share"] == pytest.approx((wrong & (np.arange(400) % 3 == 0)).mean())
    assert paper["probability_minus_attfind"] == pytest.approx(-0.12)
    assert (paper["walks"], paper["walks_reached"], attfind["walks_reached"]) == (4, 3, 0)
    assert (paper["reached_within_5_std"], paper["reached_within_10_std"]) == (0.5, 0.75)
    assert np.isnan(paper["reached_within_20_std"])  # nobody walked that far
    assert paper["walk_true_failure_share"] == pytest.approx(2 / 3)
    assert np.isnan(attfind["walk_true_failure_share"])
    cells = tabulate_cells(methods, {("paper", 1, 2.0): headline["paper"]}, headline["attfind"])
    assert (list(cells["method"]), list(cells["n"])) == (["unmoved", "paper"], [400, 400])
    unasked = headline | {"paper": Outcome(wrong * 1.0, wrong)}
    arguments = methods, unasked, walks, "attfind", np.zeros((2, 400), int), 10
    refused("the judge was not asked", tabulate_methods, *arguments, error=ValueError)
