"""Tables and metrics of the comparison from outcomes that are known."""

import numpy as np
import pytest

from failure_atlas.judges.verdicts import STILL_RIGHT, VERDICTS
from failure_atlas.ranking.held_out import CoarseWalks, Outcome, choose_best, draw_resamples
from failure_atlas.ranking.methods import Method
from stages.compare_rankings.study import Moved
from stages.compare_rankings.tables import list_attfind_leads, summarize_comparison, tabulate_cells, tabulate_methods


def make_outcomes(means, samples=400):
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, samples)
    outcomes = {}
    for label, height in means.items():
        correct, right = height + noise > 0.5, VERDICTS.index(STILL_RIGHT)
        outcomes[label] = Outcome(height + noise, correct, np.where(correct, right, np.arange(samples) % 3))
    return outcomes


def test_the_best_is_compared_with_attfind_on_other_samples():
    methods = [
        Method("paper", "full", 500, 1500, np.zeros((1, 1, 3))),
        Method("paper", "1/50", 10, 30, np.zeros((1, 1, 3))),
        Method("attfind", "full", 6, 1500, np.zeros((1, 1, 3))),
    ]
    labels = ("paper", "paper (1/50)", "attfind")
    assert choose_best(labels, make_outcomes({"paper": 0.5, "paper (1/50)": 0.3, "attfind": 0.4})) == "paper (1/50)"
    unmoved = make_outcomes({"none": 0.9})["none"]
    resamples = draw_resamples(400, np.random.default_rng(1))
    for means, verdict, equals, beats in (
        ((0.3, 0.4, 0.45), "holds", 1, 1), ((0.3, 0.5, 0.45), "fails", 0, 0), ((0.3, 0.45, 0.45), "holds", 1, 0)
    ):  # fmt: skip
        headline = make_outcomes(dict(zip(labels, means, strict=True)))
        metrics = summarize_comparison(
            methods, headline, Moved({}, unmoved, labels[1], labels[0], labels[2]), resamples, 0.02
        )
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
    assert paper["reached_within_5_std"] == 0.5
    assert paper["reached_within_10_std"] == 0.75
    assert np.isnan(paper["reached_within_20_std"])  # nobody walked that far
    assert paper["walk_true_failure_share"] == pytest.approx(2 / 3)
    assert np.isnan(attfind["walk_true_failure_share"])
    cells = tabulate_cells(methods, {("paper", 1, 2.0): headline["paper"]}, headline["attfind"])
    assert list(cells["method"]) == ["unmoved", "paper"]
    assert list(cells["n"]) == [400, 400]
    with pytest.raises(ValueError, match="the judge was not asked"):
        tabulate_methods(
            methods, headline | {"paper": Outcome(wrong * 1.0, wrong)}, walks, "attfind", np.zeros((2, 400), int), 10
        )
