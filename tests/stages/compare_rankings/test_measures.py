"""Shifts and walks with classifiers whose answers are known at every point, and paired differences."""

import numpy as np
import pytest
import torch

from failure_atlas.judges.verdicts import STILL_RIGHT, VERDICTS
from failure_atlas.statistics.estimates import mean, proportion
from stages.compare_rankings.draws import assign_draws, estimate
from stages.compare_rankings.methods import Method, step_top
from stages.compare_rankings.outputs import Reader
from stages.compare_rankings.paired import compare_paired, draw_resamples, judge_no_worse
from stages.compare_rankings.shifts import Outcome, measure_shifts, select_cell
from stages.compare_rankings.summary import choose_best, list_attfind_leads, summarize_comparison
from stages.compare_rankings.tables import tabulate_cells, tabulate_methods
from stages.compare_rankings.walks import CoarseWalks, collect_directions, walk_coarsely

CPU = torch.device("cpu")


def logistic(weights, offset):
    """p(class 0) = sigmoid(s . weights + offset), as logits of two classes of "images" that are the styles."""
    vector = torch.tensor(weights, dtype=torch.float64)
    return lambda s: torch.stack([s.double() @ vector + offset, torch.zeros(len(s), dtype=torch.float64)], dim=1)


def make_reader(weights=(1.0, 0, 0), offset=2.5, judge_weights=(0.0, 0, 0), judge_offset=3.0, batch_size=7):
    judge = logistic(judge_weights, judge_offset)
    return Reader(
        lambda s: s, logistic(weights, offset), lambda s: judge(s).softmax(dim=1), batch_size, CPU
    )  # fmt: skip


def method(scores, name="paper", budget="full"):
    return Method(name, budget, 10, 30, step_top(np.array(scores), len(scores)))


def test_outputs_do_not_depend_on_the_batch():
    styles = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    one, other = make_reader(batch_size=1), make_reader(batch_size=50)
    expected = 1 / (1 + np.exp(-(styles[:, 0].astype(float) + 2.5)))
    np.testing.assert_allclose(one.classifier(styles)[:, 0], expected)
    np.testing.assert_allclose(other.classifier(styles), one.classifier(styles))
    softmax, opinion = other.both(styles)
    np.testing.assert_array_equal(softmax, other.classifier(styles))
    np.testing.assert_array_equal(opinion, other.opinion(styles))


def test_shifts_follow_the_closed_form_and_the_judge_gives_verdicts():
    styles, std = np.zeros((4, 3), np.float32), np.array([2.0, 1, 1])
    reader = make_reader(judge_weights=(1.0, 0, 0), judge_offset=7.0)  # sees class 0 with 0.8 down to s = -5.6
    seen = []
    methods = [method([3.0, 1, 0]), method([0.0, 5, 1], "useless")]
    outcomes = measure_shifts(
        reader, methods, {"paper": [(1, 1.0), (1, 2.0), (1, 3.0)], "useless": [(2, 1.0)]}, styles, np.zeros(4, int),
        std, judged=(1, 2.0), on_cell=seen.append,
    )  # fmt: skip
    for shift in (1, 2, 3):
        expected = 1 / (1 + np.exp(-(2.5 - 2 * shift)))
        np.testing.assert_allclose(outcomes["paper", 1, shift].probability, expected)
        assert (outcomes["paper", 1, shift].correct == (expected > 0.5)).all()
    assert outcomes["paper", 1, 2.0].verdict.tolist() == [0] * 4  # at s = -4: wrong, and the judge is sure of class 0
    assert outcomes["paper", 1, 3.0].verdict is None
    np.testing.assert_allclose(outcomes["useless", 2, 1.0].probability, 1 / (1 + np.exp(-2.5)))
    assert seen == [4] * 4
    assert set(select_cell(outcomes, (1, 2.0))) == {"paper"}


def test_methods_that_choose_the_same_share_one_measurement():
    calls = []
    reader = make_reader()
    counted = Reader(lambda s: (calls.append(len(s)), s)[1], reader.classify, reader.judge, 100, CPU)
    methods = [method([3.0, 1, 0]), method([9.0, 1, 0], "twin"), method([-3.0, 1, 0], "opposite")]
    cells = {m.label: [(1, 1.0)] for m in methods}
    outcomes = measure_shifts(counted, methods, cells, np.zeros((5, 3), np.float32), np.zeros(5, int), np.ones(3))
    assert calls == [5, 5]
    np.testing.assert_array_equal(outcomes["paper", 1, 1.0].probability, outcomes["twin", 1, 1.0].probability)
    assert (outcomes["opposite", 1, 1.0].probability > outcomes["twin", 1, 1.0].probability).all()


def test_walks_end_at_the_first_whole_std_beyond_the_crossing():
    # p = sigmoid(2.5 - s): 0.50 at 2.5 std; the other dimension never matters.
    moves = np.array([[-1.0, 0, 0], [0, 1, 0], [-0.25, 0, 0]])
    starts = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    ended = []
    walks = walk_coarsely(
        make_reader().classifier, make_reader(judge_weights=(1.0, 0, 0), judge_offset=4.0).opinion, starts,
        np.zeros(2, int), moves, max_shift_std=10, confidence=0.8, on_end=ended.append,
    )  # fmt: skip
    np.testing.assert_array_equal(walks.reached_std, [[3, np.inf, 10], [4, np.inf, np.inf]])
    # The judge's log-odds at s = -3 are 1, p = 0.73: neither class with 0.8. At s = -2.5 they are 1.5, p = 0.82, but
    # the classifier, at 0.50 for both, still says the first class: no failure.
    np.testing.assert_array_equal(walks.verdict, [[2, -1, 3], [2, -1, -1]])
    assert sum(ended) == 6


def test_each_direction_is_walked_once():
    methods = [method([3.0, -1, 0]), method([1.0, -3, 0], "other"), method([-1.0, 0, 0], "opposite")]
    steps, columns = collect_directions(methods, 2)
    np.testing.assert_array_equal(steps, [[-1, 0, 0], [0, 1, 0], [1, 0, 0]])
    assert {label: own.tolist() for label, own in columns.items()} == {
        "paper": [0, 1], "other": [1, 0], "opposite": [2]
    }  # fmt: skip


def test_paired_differences_cancel_what_samples_share():
    random = np.random.default_rng(0)
    base = random.normal(0, 10, 300)
    resamples = draw_resamples(300, np.random.default_rng(1))
    found = compare_paired(base + random.normal(0.5, 1, 300), base, resamples)
    half = 1.96 / np.sqrt(300)
    assert found["value"] == pytest.approx(0.5, abs=2 * half)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.15)
    assert found["n"] == 300
    same = np.array([True, False] * 150)
    assert compare_paired(same, same, resamples) == {"value": 0, "low": 0, "high": 0, "n": 300}


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
        metrics = summarize_comparison(methods, headline, unmoved, labels[1], labels[0], labels[2], resamples, 0.02)
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


def test_an_underpowered_comparison_decides_nothing():
    difference = {"value": 0.03, "low": -0.2, "high": 0.26}
    assert judge_no_worse(difference, 0.02) == "not decided"
    for low, high, verdict in ((-0.1, 0.02, "holds"), (0.02, 0.1, "not decided"), (0.021, 0.1, "fails")):
        assert judge_no_worse({"low": low, "high": high}, 0.02) == verdict


def test_samples_of_one_draw_count_as_one():
    random = np.random.default_rng(3)
    n, draws = 300, 30
    of_draw = assign_draws(n, draws)
    assert (np.bincount(of_draw) == 10).all()
    alike = random.normal(size=draws)[of_draw]  # a sample tells nothing that its draw does not
    found, twin = estimate(alike, draws), mean(alike[::10])
    assert {key: found[key] for key in ("value", "low", "high")} == pytest.approx(
        {key: twin[key] for key in ("value", "low", "high")}
    )
    assert found["n"] == n
    assert estimate(alike > 0, 1) == proportion(alike > 0)
    assert estimate(alike, 1) == mean(alike)
    certain = estimate(np.ones(10, bool), 3)
    assert (certain["low"], certain["value"], certain["high"]) == (1, 1, 1)


def test_intervals_over_draws_of_unequal_size_cover():
    random, draws, covered = np.random.default_rng(5), 7, 0
    of_draw = assign_draws(40, draws)
    for _ in range(400):
        share = random.beta(2, 2, draws)[of_draw]
        found = estimate(random.random(40) < share, draws)
        covered += found["low"] <= 0.5 <= found["high"]
    assert 0.9 <= covered / 400 <= 0.99


def test_a_difference_from_a_random_method_is_over_its_draws():
    first, second = np.repeat(np.random.default_rng(1).normal(size=10), 10), np.zeros(100)
    resamples = draw_resamples(100, np.random.default_rng(1))
    independent, clustered = (compare_paired(first, second, resamples, draws) for draws in (1, 10))
    assert clustered["value"] == independent["value"]
    assert clustered["high"] - clustered["low"] > 2 * (independent["high"] - independent["low"])


def test_tables_count_what_they_say():
    methods = [method([1.0, 2, 3]), method([1.0, 2, 3], "attfind")]
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
