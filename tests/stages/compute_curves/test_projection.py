"""The signed projection, with a classifier that fails along it."""

import numpy as np
import pytest
from scipy import stats

from failure_atlas.curves.distance import project, standardise
from failure_atlas.statistics.bootstrap import Resampling, draw_counts
from stages.common.artefacts.ranking import ALL, Order
from stages.compute_curves.binned_study import BinnedStudy
from stages.compute_curves.projection_study import study_projections
from stages.compute_curves.summary import select


def test_one_sample_by_hand():
    centres, std = np.array([[1.0, 1, 1], [0, 0, 0]]), np.array([2.0, 0.5, 0])
    deviations = standardise(np.array([[3.0, 0, 9], [2, 1, 5]]), np.array([0, 1]), centres, std)
    assert deviations.tolist() == [[1, -2, 0], [1, 2, 0]]
    assert project(deviations, np.array([0, 1]), np.array([1, -1, 1])).tolist() == pytest.approx(
        [3 / np.sqrt(2), -1 / np.sqrt(2)]
    )


def test_independent_styles_project_with_variance_one_whatever_k():
    deviations = np.random.default_rng(1).standard_normal((20_000, 30))
    direction = np.where(np.arange(30) % 2, 1, -1)
    for k in (1, 7, 30):
        assert project(deviations, np.arange(k), direction).std() == pytest.approx(1, abs=0.02)


def test_study_follows_the_normal_distribution_along_the_direction_and_is_flat_elsewhere():
    # Right while the projection on dimensions 0 and 1, of signs + and -, is below 0.5 plus a normal error.
    stream = np.random.default_rng(2)
    styles = stream.standard_normal((20_000, 8)).astype(np.float32)
    true_class = np.arange(20_000) % 2
    z = (styles[:, 0] - styles[:, 1]) / np.sqrt(2)
    well = z < 0.5 + stream.standard_normal(20_000)
    direction = np.array([1, -1, 1, 1, 1, 1, 1, 1])
    order = Order(np.arange(8), direction)
    resampling = Resampling(draw_counts(20_000, 100, stream), draw_counts(2, 100, stream))
    results = list(
        study_projections(BinnedStudy(
            "step", styles, true_class, well, np.ones(20_000, bool), np.ones(8), {ALL: order, "a": order, "b": order},
            {2: [np.array([4, 5]), np.array([6, 7])]}, resampling, top_k=[2, "all"], bins=10, tail_quantile=0.99,
        ))
    )  # fmt: skip
    assert len(results) == 3 * 3
    (top,) = select(results, scope=ALL, k="2", dimensions="top")
    (random,) = select(results, scope=ALL, k="2", dimensions="random")
    # The centre is the mean of the well-classified, which lies a little on the safe side of the origin.
    shift = z[well].mean()
    expected = stats.norm.cdf(0.5 - (top.curve.x + shift))
    np.testing.assert_allclose(top.curve.accuracy, expected, atol=0.04)
    assert (top.band[0] < top.curve.low).all()
    assert (top.band[1] > top.curve.high).all()
    assert (random.band[0] < random.curve.accuracy).all()
    assert top.trend_p_value < 1e-100
    assert top.rises == 0
    assert np.ptp(random.curve.accuracy) < 0.06
    assert random.slope["high"] > -0.05 > top.slope["high"]
    assert top.key.kind == "projection"
