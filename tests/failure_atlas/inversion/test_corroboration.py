"""Areas, bins and verdicts by hand, by other libraries, and by repeats of data whose truth is known."""

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from failure_atlas.inversion import corroboration
from failure_atlas.inversion.corroboration import bin_accuracy, estimate_area, judge_claims, place_in_bins, weigh_cases
from failure_atlas.populations.spaces import roc_auc
from failure_atlas.statistics.estimates import Estimate, wilson

CORROBORATED, CONTRADICTED, TOO_FEW, NO_CLAIM = corroboration.VERDICTS
CASE, ROWS, NAN = np.arange(160) % 3 == 0, np.arange(160), np.nan
SCORES = (3 * np.random.default_rng(3).normal(size=160) + 2 * CASE).round() / 3  # with ties


def test_an_area_is_counted_and_of_single_rows_its_interval_is_delongs():
    found, pairs = estimate_area(SCORES, CASE, 7 * ROWS[::-1]), SCORES[CASE][:, None] - SCORES[~CASE]
    assert (pairs == 0).sum() > 100
    assert found.value == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert found.value == pytest.approx(roc_auc_score(CASE, SCORES))
    delong = roc_auc(SCORES, CASE)
    student = t.ppf(0.975, CASE.sum() - 1) / norm.ppf(0.975)  # there are fewer cases than controls
    half = student * (delong["high"] - delong["low"]) / 2
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_an_image_that_is_there_often_counts_once():
    once, rows = estimate_area(SCORES, CASE, ROWS), np.tile(ROWS, 4)
    again, alone = (estimate_area(SCORES[rows], CASE[rows], image) for image in (rows, np.arange(640)))
    assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high))
    assert alone.high - alone.low == pytest.approx((once.high - once.low) / 2, rel=0.05)
    assert again.n == 640


@pytest.mark.parametrize(("together", "naive"), [(True, (0.6, 0.8)), (False, (0.98, 1.0))])
def test_the_interval_covers_the_truth_though_rows_of_an_image_vary_together(together, naive):
    """Images are of one kind as wholes, or half of their rows are cases: then what they share cancels.

    Rows taken apart have intervals that are too narrow and too wide.
    """
    random, image, covered = np.random.default_rng(5), np.repeat(np.arange(80), 4), []
    for _ in range(400):
        case = (random.random(80) < 0.4)[image] if together else np.arange(320) % 4 < 2
        scores = 0.8 * case + 0.9 * random.normal(size=80)[image] + np.sqrt(0.19) * random.normal(size=320)
        found = [estimate_area(scores, case, rows) for rows in (image, np.arange(320))]
        covered.append([each.low <= norm.cdf(0.8 / np.sqrt(2)) <= each.high for each in found])
    rightly, apart = np.mean(covered, axis=0)
    assert 0.91 < rightly < 0.98
    assert naive[0] < apart < naive[1]


@pytest.mark.parametrize("kind", [True, False])
def test_of_few_images_nothing_is_known(kind):
    few, others = np.flatnonzero(kind == CASE)[: corroboration.LEAST_IMAGES], np.flatnonzero(kind != CASE)
    rows = np.concatenate([few, others])
    assert np.isfinite(estimate_area(SCORES[rows], CASE[rows], rows).high)
    image = np.where(rows == few[0], few[1], rows)  # as many rows, of one image less
    found = estimate_area(SCORES[rows], CASE[rows], image)
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.n == len(rows)
    assert judge_claims([Estimate(0.7, 0.6, 0.8, 100)], [found], 0.05) == [TOO_FEW]
    assert np.isnan(estimate_area(np.where(ROWS == 3, NAN, SCORES), CASE, ROWS).high), "a score is not known"


def test_where_all_come_out_alike_doubt_remains():
    case, image = np.arange(30) < 10, np.arange(30)
    for scores, low, high in ((case, 0.05**0.1, 1.0), (~case, 0.0, 1 - 0.05**0.1)):
        found = estimate_area(scores.astype(float), case, image)
        assert (found.value, found.low, found.high) == (float(scores[0]), pytest.approx(low), pytest.approx(high))
    place, weight = (~case).astype(np.int64), weigh_cases(case, 0.1)  # a bin of cases, and one of controls
    found = bin_accuracy(place, case, weight, image, 2, np.ones((5, 30)))
    np.testing.assert_allclose(found.accuracy, [0, 1])
    np.testing.assert_allclose([found.low, found.high], wilson(np.array([0, 20]), np.array([10, 20])))


def test_weights_restore_the_share_of_errors():
    weight = weigh_cases(CASE, 0.04)
    assert (weight.sum(), weight[CASE].sum()) == pytest.approx((1, 0.04))
    assert len(set(weight[CASE])) == len(set(weight[~CASE])) == 1


def test_accuracies_of_bins_and_their_intervals_by_hand():
    place, image = np.array([0, 0, 0, 1, 1, -1, 1]), np.array([30, 10, 20, 10, 30, 10, 20])
    case, weight = np.array([1, 0, 0, 1, 1, 0, 0], bool), np.array([0.1, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3])
    counts = np.array([[1, 1, 1], [3, 0, 0], [0, 3, 0], [0, 1, 2]])  # of the images 10, 20 and 30
    found = bin_accuracy(place, case, weight, image, 3, counts)
    assert (found.count.tolist(), found.cases.tolist()) == ([3, 3, 0], [1, 2, 0])
    np.testing.assert_allclose(found.accuracy, [6 / 7, 3 / 5, NAN])
    expected = np.array([[6 / 7, 3 / 5, NAN], [1, 0, NAN], [1, 1, NAN], [3 / 5, 3 / 5, NAN]])
    np.testing.assert_allclose(found.replicates, expected, atol=1e-12)
    np.testing.assert_allclose([found.low, found.high], np.quantile(expected, [0.025, 0.975], axis=0))


def test_bins_hold_equally_many_and_their_edges_belong_to_one():
    distance = np.random.default_rng(1).permutation(np.arange(101.0))
    edges = corroboration.find_bins(distance, 3, 0.75)
    np.testing.assert_array_equal(edges, [0, 25, 50, 75])
    assert place_in_bins(np.array([-5, 0, 24.9, 25, 74, 75, 75.1]), edges).tolist() == [0, 0, 0, 1, 2, 2, -1]
    assert np.bincount(place_in_bins(distance, edges) + 1).tolist() == [25, 25, 25, 26]  # those beyond first


def test_verdicts_are_of_both_sides_and_of_all_claims_together():
    above, below, none = Estimate(0.7, 0.6, 0.8, 500), Estimate(0.3, 0.2, 0.4, 500), Estimate(0.55, 0.45, 0.65, 500)
    sure, doubtful = Estimate(0.8, 0.7, 0.9, 200), Estimate(0.6, 0.45, 0.75, 200)
    mirrored, just = Estimate(0.2, 0.1, 0.3, 200), Estimate(0.61, 0.505, 0.715, 200)  # p = 0.04
    expected = {
        (above, sure): CORROBORATED, (below, mirrored): CORROBORATED, (above, mirrored): CONTRADICTED,
        (below, sure): CONTRADICTED, (above, doubtful): TOO_FEW, (none, sure): NO_CLAIM,
    }  # fmt: skip
    assert judge_claims(*zip(*expected, strict=True), 0.05) == list(expected.values())
    assert judge_claims([above, none], [just, just], 0.05) == [CORROBORATED, NO_CLAIM], "no claim is no test"
    assert judge_claims([above, above], [just, just], 0.05) == [TOO_FEW, TOO_FEW]
    assert judge_claims([above, above], [just, sure], 0.05) == [CORROBORATED, CORROBORATED]
